import type { SqlNumber } from './numbers.ts'

/**
 * A value of AWS IoT SQL, as a JavaScript value where one fits exactly.
 *
 * Undefined is `undefined`, which differs from Null. Objects are Maps, so that every key is data
 * (`__proto__` too) and keys keep the order of their source. Numbers are exact decimals.
 */
export type Value = undefined | null | boolean | string | SqlNumber | SqlArray | SqlObject
export type SqlArray = readonly Value[]
export type SqlObject = ReadonlyMap<string, Value>

/** The names of types in the tables of conversions. The dialect tells Ints from Decimals. */
export type TypeName =
  'Int' | 'Decimal' | 'Boolean' | 'String' | 'Array' | 'Object' | 'Null' | 'Undefined'

export function isArray(value: Value): value is SqlArray {
  return Array.isArray(value)
}

export function isObject(value: Value): value is SqlObject {
  return value instanceof Map
}

export function isNumber(value: Value): value is SqlNumber {
  return typeof value === 'object' && value !== null && !isObject(value) && !isArray(value)
}

/** The member of an object; Undefined for a missing member and for any other value. */
export function memberOf(value: Value, name: string): Value {
  return isObject(value) ? value.get(name) : undefined
}
