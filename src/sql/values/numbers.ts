/**
 * Numbers: Int and Decimal of 34 digits, exact, and looked at as late as can be.
 *
 * A number that was read keeps its text, and most of them are never more than that: passing one on
 * writes the text again. Comparing takes the double when it stands for the same decimal as the
 * text; arithmetic takes the decimal. Both are worked out on first use and kept.
 *
 * Whether a whole number is an Int is a question of the SQL version, and one payload serves rules
 * of both. So a number knows how it was written, and `isInt` is asked with the dialect.
 */
import { Decimal } from 'decimal.js'
import type { Dialect } from './dialect.ts'

/** Significant digits of an Int or a Decimal. */
export const digitsMax = 34
/** Powers of ten that a Decimal may have: 1E-999 to 9.99E999. */
const exponentMax = 999

/** The decimals of the language: 34 digits, ties to the even one, exponents as they are written. */
export const ExactDecimal = Decimal.clone({
  defaults: true,
  precision: digitsMax,
  rounding: Decimal.ROUND_HALF_EVEN,
})

/** How a number is written: `-12`, `1.50`, `1E3`; of a computed one, Int or Decimal. */
export type NumberForm = 'integer' | 'fraction' | 'exponent'

export interface SqlNumber {
  readonly form: NumberForm
  /** The JSON text that it was read from, or undefined when it was computed. */
  readonly source: string | undefined
  /** The double that stands for exactly this decimal, NaN when none does; undefined: not asked. */
  double: number | undefined
  decimal: Decimal | undefined
}

/** A number in JSON's syntax. */
export function numberFromSource(source: string, form: NumberForm): SqlNumber {
  return { form, source, double: undefined, decimal: undefined }
}

/** A number as a statement or a String has it: as in JSON, and leading zeros are allowed. */
export function numberFromText(text: string): SqlNumber {
  const source = text.replace(/^(-?)0+(?=\d)/, '$1')
  const form = /[eE]/.test(source) ? 'exponent' : source.includes('.') ? 'fraction' : 'integer'
  return numberFromSource(source, form)
}

/** An Int from an integer that a double holds exactly. */
export function numberFromInteger(value: number): SqlNumber {
  return { form: 'integer', source: undefined, double: value + 0, decimal: undefined }
}

/** A Decimal from a double, by the shortest text that stands for it; Undefined unless finite. */
export function numberFromDouble(value: number): SqlNumber | undefined {
  if (!Number.isFinite(value)) return undefined
  return { form: 'fraction', source: undefined, double: value + 0, decimal: undefined }
}

/** An Int or Decimal from a result; Undefined when it is no number or beyond the range. */
export function numberFromDecimal(
  value: Decimal,
  form: 'integer' | 'fraction',
): SqlNumber | undefined {
  if (!isInRange(value)) return undefined
  return { form, source: undefined, double: undefined, decimal: value }
}

/** A number from 1E-999 to 9.99E999, or 0. Beyond it nothing is computed: digits would have no bound. */
export function isInRange(value: Decimal): boolean {
  return value.isZero() || (value.isFinite() && Math.abs(value.e) <= exponentMax)
}

/** The exact value. */
export function decimalOf(number: SqlNumber): Decimal {
  number.decimal ??= new ExactDecimal(number.source ?? number.double ?? 0)
  return number.decimal
}

/**
 * The double that stands for exactly this decimal, else NaN. Two numbers that both have one compare
 * as their doubles do: a decimal of up to 15 digits, or the shortest text of a double, is the only
 * such decimal that its double stands for.
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

/** The double nearest to the number: what functions that work in double precision take. */
export function nearestDouble(number: SqlNumber): number {
  const exact = exactDouble(number)
  return Number.isNaN(exact) ? decimalOf(number).toNumber() : exact
}

/** Whether it has no digits after the point that count. */
function isWhole(number: SqlNumber): boolean {
  if (number.form === 'integer') return true
  const { source } = number
  // In `12.5` the last digit decides; zeros at the end and exponents need a closer look.
  if (source !== undefined && number.form === 'fraction' && !source.endsWith('0')) return false
  return Number.isInteger(number.double) || decimalOf(number).isInteger()
}

/** Whether the number is an Int to a rule of this version. */
export function isInt(number: SqlNumber, dialect: Dialect): boolean {
  if (number.form === 'integer') return true
  return dialect.wholeDecimalsAreInts && isWhole(number) && hasIntDigits(number)
}

function hasIntDigits(number: SqlNumber): boolean {
  const { double } = number
  if (double !== undefined && Math.abs(double) <= Number.MAX_SAFE_INTEGER) return true
  return decimalOf(number).e < digitsMax
}

/** Negative, zero or positive, as numbers compare. */
export function compareNumbers(left: SqlNumber, right: SqlNumber): number {
  const difference = exactDouble(left) - exactDouble(right)
  return Number.isNaN(difference) ? decimalOf(left).comparedTo(decimalOf(right)) : difference
}

/**
 * The text of a number, in JSON and as a String: the digits of an Int, never with an exponent; a
 * Decimal as it was written. Under 2015-10-08 a whole Decimal keeps a digit after its point.
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

/** Plain from 0.000001 up to 34 digits, as a BigDecimal prints; scientific beyond. */
function decimalText(decimal: Decimal): string {
  if (decimal.e < -6 || decimal.e >= digitsMax) return scientificText(decimal)
  return decimal.isInteger() ? decimal.toFixed(1) : decimal.toFixed()
}

function scientificText(decimal: Decimal): string {
  return decimal.toExponential().toUpperCase()
}
