/** Access to members and items, and the questions whether there is a value at all. */
import { toIndex } from '../conversions.ts'
import { isArray, isObject } from '../values.ts'
import type { Value } from '../values.ts'
import type { SqlFunction } from './function.ts'

export const collectionFunctions: readonly SqlFunction[] = [
  {
    name: 'get',
    sinceVersion: '2015-10-08',
    arity: [2, 2],
    implementation: ([collection, key]) => get(collection, key),
  },
  {
    name: 'isNull',
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    implementation: ([value]) => value === null,
  },
  {
    name: 'isUndefined',
    sinceVersion: '2016-03-23',
    arity: [1, 1],
    implementation: ([value]) => value === undefined,
  },
]

/** Items and characters (UTF-16 units) by position from 0, members by a String. */
function get(collection: Value, key: Value): Value {
  if (isObject(collection)) return typeof key === 'string' ? collection.get(key) : undefined
  if (!isArray(collection) && typeof collection !== 'string') return undefined
  const index = toIndex(key)
  return index === undefined ? undefined : collection[index]
}
