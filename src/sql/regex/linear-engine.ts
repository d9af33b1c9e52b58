/**
 * Combines three linear engines: re2js where its result on the text is the same as Java's,
 * otherwise the machine; and the sweep for all matches of a text.
 *
 * One search is linear in the text, but a replacement makes one search per match, and each may read
 * to the end (`a*b|a` on letters `a`). The sweep finds all matches in one pass. Patterns that it
 * cannot run (`\\G`, repeats whose rounds can be empty) use the machine, which spends steps for its
 * real work.
 *
 * re2js does not report its work, so its greatest possible work is charged.
 */
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { Engine, Search } from './engine.ts'
import { createMachineEngine } from './machine-engine.ts'
import type { Pattern } from './pattern.ts'
import { compileProgram } from './program.ts'
import { createRe2Engine } from './re2-engine.ts'
import { createSweepEngine } from './sweep-engine.ts'

/** The most instructions times characters that one search of re2js is charged for. */
const re2WorkMax = 1 << 24
/**
 * One step pays for 4 of them when a match is found, and for 16 when only its existence is tested.
 */
const findingAStepLog2 = 2
const testingAStepLog2 = 4
/** The steps of a search, whatever its text is. */
const stepsOfSearch = 20

export interface LinearEngine extends Engine {
  /** Whether there is a match anywhere in a text. @throws WorkSpent */
  test(text: string, work: Work): boolean
  /** Like `open`, for searches that continue to the last match. */
  openAll(text: string, work: Work): Search
}

const noMatches: Search = Object.freeze({ find: () => undefined })

/** @returns undefined when the pattern is too large for a program */
export function createLinearEngine(pattern: Pattern): LinearEngine | undefined {
  const program = compileProgram(pattern)
  if (program === undefined) return undefined
  const machine = createMachineEngine(program)
  const sweep = createSweepEngine(program)
  const re2 = createRe2Engine(pattern)
  const instructions = (characters: number) => (characters + 1) * program.size
  const re2For = (text: string) =>
    instructions(text.length) <= re2WorkMax && re2?.isExactOn(text) === true ? re2 : undefined

  function test(text: string, work: Work): boolean {
    const fast = re2For(text)
    if (fast === undefined) return machine.open(text, work).find(0, 0) !== undefined
    spend(work, stepsOfSearch + (instructions(text.length) >> testingAStepLog2))
    return fast.test(text)
  }
  return {
    test,
    open(text, work) {
      const fast = re2For(text)
      if (fast === undefined) return machine.open(text, work)
      const search = fast.open(text, work)
      return {
        find(from, searchStart) {
          spend(work, stepsOfSearch + (instructions(text.length - from) >> findingAStepLog2))
          return search.find(from, searchStart)
        },
      }
    },
    openAll(text, work) {
      if (sweep === undefined) return machine.open(text, work)
      return re2For(text) === undefined || test(text, work) ? sweep.open(text, work) : noMatches
    },
  }
}
