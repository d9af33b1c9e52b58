import type { SqlVersion } from './version.ts'

/** `backtracking` allows look-around and the like, at the risk of exponential time. */
export type RegexMode = 'linear' | 'backtracking'

/** What the rules of evaluation differ in: the version of the language, and settings. */
export interface Dialect {
  readonly version: SqlVersion
  /** `10.0` is the Int `10`, wherever it comes from (2016-03-23); else it stays a Decimal. */
  readonly wholeDecimalsAreInts: boolean
  /** The features that came with 2016-03-23: nested queries, literals of arrays and objects, ... */
  readonly isSecondVersion: boolean
  /** How regular expressions may run; `linear` by default. */
  readonly regex?: RegexMode
}
