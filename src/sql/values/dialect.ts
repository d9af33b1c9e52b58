import type { SqlVersion } from './version.ts'

/** `backtracking` allows look-around and backreferences, at the risk of exponential time. */
export type RegexMode = 'linear' | 'backtracking'

/** The SQL version and the settings that change how a rule is evaluated. */
export interface Dialect {
  readonly version: SqlVersion
  /** True when `10.0` counts as the Int `10` (2016-03-23); otherwise it is a Decimal. */
  readonly wholeDecimalsAreInts: boolean
  /** True for the features of 2016-03-23, such as nested queries and literals of arrays. */
  readonly isSecondVersion: boolean
  /** How regular expressions may run; `linear` by default. */
  readonly regex?: RegexMode
  /** True: the output has the form that 2015-10-08 gave it in one test of AWS. */
  readonly flattensOutput?: boolean
}
