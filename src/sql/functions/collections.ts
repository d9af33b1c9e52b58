/** Functions that read members and items, and that test whether there is a value. */
import { isConstant } from '../parser/constant.ts'
import { toIndex } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import { writeJson } from '../values/json-writer.ts'
import { isArray, isObject } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import { memberSteps, objectSteps, spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
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
  {
    name: 'get_or_default',
    sinceVersion: '2016-03-23',
    arity: [1, 2],
    implementation: ([value, fallback]) => (isThere(value) ? value : fallback),
    toleratesFailure: true,
  },
  {
    name: 'transform',
    sinceVersion: '2016-03-23',
    arity: [3, 3],
    implementation: ([mode, attributes, elements], { state }, dialect) =>
      mode === 'enrichArray' ? enrichArray(attributes, elements, dialect, state) : undefined,
    findProblem: ([mode]) =>
      mode === undefined || isConstant(mode)
        ? undefined
        : { at: mode.at, problem: 'the first argument of transform() must be a constant' },
  },
]

/** `get_or_default`: the one place that decides which values are replaced by the default. */
function isThere(value: Value): boolean {
  return value !== undefined && value !== null
}

/** The largest result of transform, in UTF-8 bytes as compact JSON. A larger one is Undefined. */
const transformBytesMax = 128 * 1024

/** Adds the attributes of one object to each object of an array, where they replace others. */
function enrichArray(attributes: Value, elements: Value, dialect: Dialect, work: Work): Value {
  if (!isObject(attributes) || !isArray(elements)) return undefined
  const enriched: Value[] = []
  let bytesLeft = transformBytesMax - '[]'.length
  for (const element of elements) {
    if (!isObject(element)) return undefined
    spend(work, objectSteps + memberSteps * (element.size + attributes.size))
    const merged = new Map([...element, ...attributes])
    const text = writeJson(merged, dialect, bytesLeft)
    spend(work, text === undefined ? bytesLeft : text.length)
    if (text === undefined) return undefined
    bytesLeft -= Buffer.byteLength(text) + (enriched.length === 0 ? 0 : ','.length)
    if (bytesLeft < 0) return undefined
    enriched.push(merged)
  }
  return enriched
}

/** `get`: items and characters (UTF-16 units) by position from 0, members by name. */
function get(collection: Value, key: Value): Value {
  if (isObject(collection)) return typeof key === 'string' ? collection.get(key) : undefined
  if (!isArray(collection) && typeof collection !== 'string') return undefined
  const index = toIndex(key)
  return index === undefined ? undefined : collection[index]
}
