/**
 * Exact numbers: Int and Decimal with 34 digits, parsed as late as possible.
 *
 * A number that was read keeps its text, and most numbers never need more: writing one copies the
 * text. Comparisons use the double when it is exactly the decimal of the text, and arithmetic uses
 * the decimal. Both are computed on first use and stored.
 *
 * The SQL version decides whether a whole number is an Int, and rules of both versions read the
 * same payload. A number therefore keeps its form, and `isInt` takes the dialect.
 */
import { Decimal } from 'decimal.js'
import type { Dialect } from './dialect.ts'

/** Significant digits of an Int or a Decimal. */
export const digitsMax = 34
/** The greatest exponent of a Decimal: 1E-999 to 9.99E999. */
const exponentMax = 999

/** The decimals of the language: 34 digits, rounded half to even, with any exponent. */
export const ExactDecimal = Decimal.clone({
  defaults: true,
  precision: digitsMax,
  rounding: Decimal.ROUND_HALF_EVEN,
})

/** The form of a number: `-12`, `1.50`, `1E3`; of a computed one, Int or Decimal. */
export type NumberForm = 'integer' | 'fraction' | 'exponent'

export interface SqlNumber {
  readonly form: NumberForm
  /** The JSON text that it was read from, or undefined when it was computed. */
  readonly source: string | undefined
  /**
   * The double that is exactly this decimal; NaN when there is none; undefined before first use.
   */
  double: number | undefined
  decimal: Decimal | undefined
}

/** A number in JSON's syntax. */
export function numberFromSource(source: string, form: NumberForm): SqlNumber {
  return { form, source, double: undefined, decimal: undefined }
}

/** A number in a statement or a String: JSON's syntax with leading zeros allowed. */
export function numberFromText(text: string): SqlNumber {
  const source = text.replace(/^(-?)0+(?=\d)/, '$1')
  const form = /[eE]/.test(source) ? 'exponent' : source.includes('.') ? 'fraction' : 'integer'
  return numberFromSource(source, form)
}

/** An Int from an integer that a double holds exactly. */
export function numberFromInteger(value: number): SqlNumber {
  return { form: 'integer', source: undefined, double: value + 0, decimal: undefined }
}

/** A Decimal from the shortest text of a double; Undefined unless the double is finite. */
export function numberFromDouble(value: number): SqlNumber | undefined {
  if (!Number.isFinite(value)) return undefined
  return { form: 'fraction', source: undefined, double: value + 0, decimal: undefined }
}

/** An Int or Decimal from a result; Undefined for NaN and beyond the range. */
export function numberFromDecimal(
  value: Decimal,
  form: 'integer' | 'fraction',
): SqlNumber | undefined {
  if (!isInRange(value)) return undefined
  return { form, source: undefined, double: undefined, decimal: value }
}

/** True for 0 and for 1E-999 to 9.99E999. Beyond that, results could have unbounded digits. */
export function isInRange(value: Decimal): boolean {
  return value.isZero() || (value.isFinite() && Math.abs(value.e) <= exponentMax)
}

/** The exact value. */
export function decimalOf(number: SqlNumber): Decimal {
  number.decimal ??= new ExactDecimal(number.source ?? number.double ?? 0)
  return number.decimal
}

/**
 * The double that identifies exactly this decimal, or NaN. Two numbers with such doubles compare
 * like their doubles: each double identifies one decimal of up to 15 digits or one shortest text.
 */
export function exactDouble(number: SqlNumber): number {
  number.double ??= findDouble(number)
  return number.double
}

function findDouble(number: SqlNumber): number {
  const { source, form } = number
  if (source === undefined) return findDoubleOfText(decimalOf(number).toString())
  if (form !== 'exponent' && source.length <= 15) return Number(source)
  return findDoubleOfText(source)
}

function findDoubleOfText(text: string): number {
  const double = Number(text)
  return String(double) === text ? double : Number.NaN
}

/** The nearest double, for functions that work in double precision. */
export function nearestDouble(number: SqlNumber): number {
  const exact = exactDouble(number)
  return Number.isNaN(exact) ? decimalOf(number).toNumber() : exact
}

/** Whether the number has no significant digits after the point. */
function isWhole(number: SqlNumber): boolean {
  if (number.form === 'integer') return true
  const { source } = number
  // In `12.5` the last digit decides; trailing zeros and exponents need a closer look.
  if (source !== undefined && number.form === 'fraction' && !source.endsWith('0')) return false
  return Number.isInteger(number.double) || decimalOf(number).isInteger()
}

/** Whether the number is an Int in this SQL version. */
export function isInt(number: SqlNumber, dialect: Dialect): boolean {
  if (number.form === 'integer') return true
  return dialect.wholeDecimalsAreInts && isWhole(number) && hasIntDigits(number)
}

function hasIntDigits(number: SqlNumber): boolean {
  const { double } = number
  if (double !== undefined && Math.abs(double) <= Number.MAX_SAFE_INTEGER) return true
  return decimalOf(number).e < digitsMax
}

/** Compares two numbers. Returns a negative number, zero or a positive number. */
export function compareNumbers(left: SqlNumber, right: SqlNumber): number {
  const difference = exactDouble(left) - exactDouble(right)
  return Number.isNaN(difference) ? decimalOf(left).comparedTo(decimalOf(right)) : difference
}

/**
 * The text of a number, in JSON and as a String: an Int as digits without exponent, a Decimal as it
 * was written. Under 2015-10-08 a whole Decimal keeps one digit after its point.
 */
export function numberText(number: SqlNumber, dialect: Dialect): string {
  const { source, form } = number
  if (form === 'integer') return source === undefined ? wholeText(number) : withoutMinusZero(source)
  if (isInt(number, dialect)) return wholeText(number)
  return source ?? decimalText(decimalOf(number))
}

function withoutMinusZero(source: string): string {
  return source === '-0' ? '0' : source
}

function wholeText(number: SqlNumber): string {
  const { double } = number
  if (double !== undefined && Math.abs(double) <= Number.MAX_SAFE_INTEGER) return String(double + 0)
  const decimal = decimalOf(number)
  if (decimal.isZero()) return '0'
  return decimal.e < digitsMax ? decimal.toFixed() : scientificText(decimal)
}

/** Prints like Java's BigDecimal: plain from 0.000001 up to 34 digits, otherwise scientific. */
function decimalText(decimal: Decimal): string {
  if (decimal.e < -6 || decimal.e >= digitsMax) return scientificText(decimal)
  return decimal.isInteger() ? decimal.toFixed(1) : decimal.toFixed()
}

function scientificText(decimal: Decimal): string {
  return decimal.toExponential().toUpperCase()
}
