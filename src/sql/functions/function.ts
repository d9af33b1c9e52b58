import type { Dialect } from '../dialect.ts'
import type { MessageDocument } from '../document.ts'
import type { Value } from '../values.ts'
import type { SqlVersion } from '../version.ts'

/** A function of the language. */
export interface SqlFunction {
  /** As the guide spells it; calls are matched in any case. */
  readonly name: string
  readonly sinceVersion: Exclude<SqlVersion, 'beta'>
  /** Fewest and most arguments; a call with another count is Undefined. */
  readonly arity: readonly [fewest: number, most: number]
  /** Never throws: what cannot be computed is Undefined. */
  readonly implementation: Implementation
}

export type Implementation = (
  values: readonly Value[],
  document: MessageDocument,
  dialect: Dialect,
) => Value
