/**
 * Two engines as one, both linear: re2js where it gives Java's answer on the text at hand, else the
 * machine.
 *
 * One search is linear in the text, but replacing makes as many searches as there are matches, and
 * each may read on to the end. So the work is bounded over all searches of a text. re2js does not
 * tell its work; it is charged with the most that it can be. Once that is over the bound, the
 * machine goes on from the same place, since it counts what it really does.
 */
import type { Engine, Search } from './engine.ts'
import { createMachineEngine } from './machine-engine.ts'
import type { Pattern } from './pattern.ts'
import { compileProgram } from './program.ts'
import { createRe2Engine } from './re2-engine.ts'

/** Instructions times characters that re2js may be charged with on one opened text. */
const re2WorkMax = 1 << 24

export interface LinearEngine extends Engine {
  /** Whether there is a match anywhere in a text. */
  test(text: string): boolean | 'tooLong'
}

/** @returns undefined when the pattern is too large for a program */
export function createLinearEngine(pattern: Pattern): LinearEngine | undefined {
  const program = compileProgram(pattern)
  if (program === undefined) return undefined
  const machine = createMachineEngine(program)
  const re2 = createRe2Engine(pattern)
  const mostWork = (characters: number) => characters * program.size
  const isForRe2 = (text: string) =>
    re2 !== undefined && mostWork(text.length) <= re2WorkMax && re2.isExactOn(text)
  return {
    open: (text) =>
      re2 !== undefined && isForRe2(text)
        ? createHandingOver(
            re2.open(text),
            () => machine.open(text),
            (from) => mostWork(text.length - from + 1),
          )
        : machine.open(text),
    test(text) {
      if (re2 !== undefined && isForRe2(text)) return re2.test(text)
      const found = machine.open(text).find(0, 0)
      return found === 'tooLong' ? found : found !== 'none'
    },
  }
}

/** The first search until its work is used up, then the other. */
function createHandingOver(
  first: Search,
  openOther: () => Search,
  workFrom: (from: number) => number,
): Search {
  let work = 0
  let other: Search | undefined
  return {
    find(from, searchStart) {
      work += workFrom(from)
      if (work <= re2WorkMax) return first.find(from, searchStart)
      other ??= openOther()
      return other.find(from, searchStart)
    },
  }
}
