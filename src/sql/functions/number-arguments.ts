/** Arguments that are numbers or Strings which are one, in the shapes that functions work with. */
import type { Decimal } from 'decimal.js'
import { toDecimal } from '../values/conversions.ts'
import { decimalOf, exactDouble, isInRange, numberFromDecimal } from '../values/numbers.ts'
import type { SqlNumber } from '../values/numbers.ts'
import type { Value } from '../values/values.ts'

/** The number; Undefined when it is none, or beyond 1E-999 to 9.99E999. */
export function toNumber(value: Value): SqlNumber | undefined {
  const number = toDecimal(value)
  return number !== undefined && isInRange(decimalOf(number)) ? number : undefined
}

/** The number in double precision, without a negative zero; beyond the doubles it is infinite. */
export function toDouble(value: Value): number | undefined {
  const number = toDecimal(value)
  if (number === undefined) return undefined
  const exact = exactDouble(number)
  if (!Number.isNaN(exact)) return exact + 0
  const decimal = decimalOf(number)
  return isInRange(decimal) ? decimal.toNumber() + 0 : undefined
}

/** The Int that the number is rounded to. */
export function toWhole(value: Value, rounding: Decimal.Rounding): SqlNumber | undefined {
  const number = toNumber(value)
  if (number === undefined || number.form === 'integer') return number
  return numberFromDecimal(decimalOf(number).toDecimalPlaces(0, rounding), 'integer')
}

/** A count or a position: the number rounded, and then the nearest from `least` to `most`. */
export function toClampedInteger(
  value: Value,
  rounding: Decimal.Rounding,
  least: number,
  most: number,
): number | undefined {
  const number = toDecimal(value)
  if (number === undefined) return undefined
  const exact = exactDouble(number)
  if (Number.isInteger(exact)) return Math.min(Math.max(exact, least), most)
  const decimal = decimalOf(number)
  if (decimal.lessThanOrEqualTo(least)) return least
  if (decimal.greaterThanOrEqualTo(most)) return most
  return decimal.toDecimalPlaces(0, rounding).toNumber()
}
