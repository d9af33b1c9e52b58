/** Reads arguments that are numbers or numeric Strings, in the forms that functions need. */
import type { Decimal } from 'decimal.js'
import { toDecimal } from '../values/conversions.ts'
import { decimalOf, exactDouble, isInRange, numberFromDecimal } from '../values/numbers.ts'
import type { SqlNumber } from '../values/numbers.ts'
import type { Value } from '../values/values.ts'

/** The exact number; Undefined for other values and beyond 1E-999 to 9.99E999. */
export function toNumber(value: Value): SqlNumber | undefined {
  const number = toDecimal(value)
  return number !== undefined && isInRange(decimalOf(number)) ? number : undefined
}

/** The number in double precision, without negative zero; infinite beyond the range of doubles. */
export function toDouble(value: Value): number | undefined {
  const number = toDecimal(value)
  if (number === undefined) return undefined
  const exact = exactDouble(number)
  if (!Number.isNaN(exact)) return exact + 0
  const decimal = decimalOf(number)
  return isInRange(decimal) ? decimal.toNumber() + 0 : undefined
}

/** The number rounded to an Int. */
export function toWhole(value: Value, rounding: Decimal.Rounding): SqlNumber | undefined {
  const number = toNumber(value)
  if (number === undefined || number.form === 'integer') return number
  return numberFromDecimal(decimalOf(number).toDecimalPlaces(0, rounding), 'integer')
}

/** A count or position: the rounded number, limited to the range from `least` to `most`. */
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
