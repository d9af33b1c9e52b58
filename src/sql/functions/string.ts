/** Functions on texts. An argument that is no String is one by the standard conversion. */
import { toText } from '../conversions.ts'
import type { Dialect } from '../dialect.ts'
import { isArray } from '../values.ts'
import type { Value } from '../values.ts'
import type { SqlFunction } from './function.ts'

export const stringFunctions: readonly SqlFunction[] = [
  {
    name: 'concat',
    sinceVersion: '2015-10-08',
    arity: [0, Number.POSITIVE_INFINITY],
    implementation: (values, _, dialect) => concat(values, dialect),
  },
  {
    name: 'lower',
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    implementation: ([value], _, dialect) => toText(value, dialect)?.toLowerCase(),
  },
  {
    name: 'upper',
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    implementation: ([value], _, dialect) => toText(value, dialect)?.toUpperCase(),
  },
]

/**
 * One value alone stays what it is. With an array among them, one array of all, arrays spliced in.
 * Otherwise, with at least one String among them, the texts of all.
 */
function concat(values: readonly Value[], dialect: Dialect): Value {
  if (values.length <= 1) return values[0]
  if (values.some(isArray)) {
    return values.flatMap((value) => (isArray(value) ? value : value === undefined ? [] : [value]))
  }
  if (!values.some((value) => typeof value === 'string')) return undefined
  let joined = ''
  for (const value of values) {
    const text = toText(value, dialect)
    if (text === undefined) return undefined
    joined += text
  }
  return joined
}
