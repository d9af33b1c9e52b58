import type { CaseFolding } from './case-folding.ts'
import type { CodePointSet } from './code-point-set.ts'
import type { Demand } from './pattern.ts'
import { PatternError, PatternTooLarge } from './pattern-error.ts'
import type { PatternText } from './pattern-text.ts'

/** The inline flags, such as `(?i)`, at one place of a pattern. */
export interface Flags {
  readonly ignoreCase: boolean
  readonly unicodeCase: boolean
  readonly multiline: boolean
  readonly dotAll: boolean
  readonly unixLines: boolean
  readonly comments: boolean
  readonly unicodeClasses: boolean
}

export const noFlags: Flags = Object.freeze({
  ignoreCase: false,
  unicodeCase: false,
  multiline: false,
  dotAll: false,
  unixLines: false,
  comments: false,
  unicodeClasses: false,
})

/** The state that the parts of the reader share while they read one pattern. */
export interface ReaderState {
  readonly text: PatternText
  flags: Flags
  groupCount: number
  readonly groupNames: Map<string, number>
  readonly demands: Demand[]
  depth: number
  rangeCount: number
  /** The offset of `\G`, which only the linear engines have. */
  searchStartAt: number | undefined
  /** The number of open look-behinds. */
  lookBehinds: number
}

/** The most ranges in all character classes of one pattern, which bounds a repeated `\p{L}`. */
const rangesMax = 50_000

export function setFlags(state: ReaderState, flags: Flags): void {
  state.flags = flags
  state.text.skipsBlanks = flags.comments
  state.text.isUnixLines = flags.unixLines
}

export function foldingOf({ ignoreCase, unicodeCase }: Flags): CaseFolding {
  if (!ignoreCase) return 'none'
  return unicodeCase ? 'unicode' : 'ascii'
}

/** Counts the ranges of a set that is added to the pattern. */
export function counted(state: ReaderState, set: CodePointSet): CodePointSet {
  state.rangeCount += set.length / 2
  if (state.rangeCount > rangesMax) {
    throw new PatternTooLarge(
      `its character classes have more than ${rangesMax} ranges`,
      state.text.offset(),
    )
  }
  return set
}

/**
 * Records a construct that needs backtracking. RegExp matches a look-behind from its end, so
 * constructs that depend on the order of matching differ inside of one.
 */
export function demandBacktracking(state: ReaderState, construct: string, at: number): void {
  const isInside = state.lookBehinds > 0 && !construct.startsWith('a look')
  state.demands.push(
    isInside
      ? { construct: `${construct} inside a look-behind`, at, needs: 'nothing' }
      : { construct, at, needs: 'backtracking' },
  )
}

/** @param at offset in the pattern; by default that of the reader */
export function fail(state: ReaderState, problem: string, at = state.text.offset()): never {
  throw new PatternError(problem, at)
}
