/**
 * Three engines as one, all linear: re2js where it gives Java's answer on the text at hand, else
 * the machine; and the sweep for all matches of a text.
 *
 * One search is linear in the text, but replacing makes as many searches as there are matches, and
 * each may read on to the end (`a*b|a` on letters `a`). The sweep finds them all in one reading.
 * Patterns that it cannot take (`\\G`, repeats whose rounds can be empty) stay with the machine,
 * which spends what it really does.
 *
 * re2js does not tell its work; it is charged with the most that it can be.
 */
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { Engine, Search } from './engine.ts'
import { createMachineEngine } from './machine-engine.ts'
import type { Pattern } from './pattern.ts'
import { compileProgram } from './program.ts'
import { createRe2Engine } from './re2-engine.ts'
import { createSweepEngine } from './sweep-engine.ts'

/** Instructions times characters that re2js may be charged with in one search. */
const re2WorkMax = 1 << 24
/** Of those, what one step stands for: 4 when it finds a match, 16 when it says if there is one. */
const findingAStepLog2 = 2
const testingAStepLog2 = 4
/** Steps of a search, whatever its text is. */
const stepsOfSearch = 20

export interface LinearEngine extends Engine {
  /** Whether there is a match anywhere in a text. @throws WorkSpent */
  test(text: string, work: Work): boolean
  /** The same as `open`, for searches that go on to the last match. */
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
