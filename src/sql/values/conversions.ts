/**
 * The two tables of conversions, with one row per source type. A conversion that a table does not
 * have gives Undefined. The dialect decides whether a number is an Int or a Decimal.
 *
 * Functions and operators use the standard conversions; `cast(x AS type)` uses the casts.
 */
import { Decimal } from 'decimal.js'
import type { Dialect } from './dialect.ts'
import { writtenJson } from './json-writer.ts'
import {
  decimalOf,
  digitsMax,
  isInRange,
  isInt,
  nearestDouble,
  numberFromDecimal,
  numberFromDouble,
  numberFromInteger,
  numberFromText,
  numberText,
} from './numbers.ts'
import type { SqlNumber } from './numbers.ts'
import { isArray, isNumber, isObject } from './values.ts'
import type { TypeName, Value } from './values.ts'
import { spend } from './work.ts'
import type { Work } from './work.ts'

/** A String that is a number: no leading plus, bare point, blank or plus in the exponent. */
const numericString = /^-?\d+(?:\.\d+)?(?:[eE]-?\d+)?$/

/** The type of a value in this SQL version. */
function typeOf(value: Value, dialect: Dialect): TypeName {
  if (value === undefined) return 'Undefined'
  if (value === null) return 'Null'
  if (typeof value === 'string') return 'String'
  if (typeof value === 'boolean') return 'Boolean'
  if (isObject(value)) return 'Object'
  if (isArray(value)) return 'Array'
  return isInt(value, dialect) ? 'Int' : 'Decimal'
}

/** Standard conversion to Decimal, of numbers and numeric Strings. Null gives Undefined. */
export function toDecimal(value: Value): SqlNumber | undefined {
  if (typeof value === 'string')
    return numericString.test(value) ? numberFromText(value) : undefined
  return isNumber(value) ? value : undefined
}

/** Standard conversion to Int: a Decimal is rounded, a numeric String is cut after its point. */
export function toInt(value: Value): SqlNumber | undefined {
  if (typeof value === 'string') return rounded(toDecimal(value), Decimal.ROUND_DOWN)
  return isNumber(value) ? rounded(value, Decimal.ROUND_HALF_UP) : undefined
}

/** The Int as a double, for positions and counts; Undefined for other values. */
export function toIndex(value: Value): number | undefined {
  const number = toInt(value)
  return number === undefined ? undefined : nearestDouble(number)
}

/** Standard conversion to Boolean, of Booleans and of `true` and `false` in any case. */
export function toBoolean(value: Value): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string' || value.length > 5) return undefined
  const word = value.toLowerCase()
  if (word === 'true') return true
  return word === 'false' ? false : undefined
}

/**
 * Standard conversion to String. Arrays and objects become compact JSON; Null gives Undefined.
 *
 * @returns at most `textLengthMax` UTF-16 units, unless `value` is a longer String
 * @throws WorkSpent
 */
export function toText(value: Value, dialect: Dialect, work: Work): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === undefined || value === null) return undefined
  if (isNumber(value)) {
    spendDigits(work, value)
    return numberText(value, dialect)
  }
  return writtenJson(value, dialect, work)
}

function rounded(number: SqlNumber | undefined, rounding: Decimal.Rounding): SqlNumber | undefined {
  if (number === undefined || number.form === 'integer') return number
  const decimal = decimalOf(number)
  if (!isInRange(decimal)) return undefined
  return numberFromDecimal(decimal.toDecimalPlaces(0, rounding), 'integer')
}

/** The target types of `cast`. `Double` is a Decimal rounded to double precision. */
type CastType = 'String' | 'Int' | 'Double' | 'Decimal' | 'Boolean'

interface CastKeyword {
  readonly type: CastType
  readonly needsSecondVersion: boolean
}

const castKeyword = (type: CastType, needsSecondVersion = false): CastKeyword => ({
  type,
  needsSecondVersion,
})

/** The keywords of `cast`, in lower case. */
export const castKeywords: ReadonlyMap<string, CastKeyword> = new Map([
  ['string', castKeyword('String')],
  ['nvarchar', castKeyword('String')],
  ['text', castKeyword('String')],
  ['ntext', castKeyword('String')],
  ['varchar', castKeyword('String')],
  ['int', castKeyword('Int')],
  ['integer', castKeyword('Int')],
  ['double', castKeyword('Double')],
  ['decimal', castKeyword('Decimal', true)],
  ['bool', castKeyword('Boolean', true)],
  ['boolean', castKeyword('Boolean', true)],
])

type Conversion = (value: Value, dialect: Dialect, work: Work) => Value
type ConversionTable = Readonly<Record<TypeName, Conversion>>

const same: Conversion = (value) => value
const none: Conversion = () => undefined
const text: Conversion = (value, dialect, work) => toText(value, dialect, work)
const bool: Conversion = (value) => toBoolean(value)
const isNotZero: Conversion = (value) => isNumber(value) && !decimalOf(value).isZero()
/** An Int has at most 34 digits. */
const roundedDown: Conversion = (value) => {
  const whole = rounded(toDecimal(value), Decimal.ROUND_FLOOR)
  return whole !== undefined && decimalOf(whole).e < digitsMax ? whole : undefined
}
const double: Conversion = (value) => {
  const number = toDecimal(value)
  return number === undefined ? undefined : numberFromDouble(nearestDouble(number))
}
const zero = numberFromInteger(0)
const one = numberFromInteger(1)
const decimalZero = numberFromText('0.0')
const decimalOne = numberFromText('1.0')

const castTables: Readonly<Record<CastType, ConversionTable>> = {
  String: {
    Int: text,
    Decimal: text,
    Boolean: text,
    String: same,
    Array: text,
    Object: text,
    Null: none,
    Undefined: none,
  },
  Int: {
    Int: same,
    Decimal: roundedDown,
    Boolean: (value) => (value === true ? one : zero),
    String: roundedDown,
    Array: none,
    Object: none,
    Null: none,
    Undefined: none,
  },
  Decimal: {
    Int: same,
    Decimal: same,
    Boolean: (value) => (value === true ? decimalOne : decimalZero),
    String: (value) => toDecimal(value),
    Array: none,
    Object: none,
    Null: none,
    Undefined: none,
  },
  Double: {
    Int: same,
    Decimal: double,
    Boolean: (value) => (value === true ? decimalOne : decimalZero),
    String: double,
    Array: none,
    Object: none,
    Null: none,
    Undefined: none,
  },
  Boolean: {
    Int: isNotZero,
    Decimal: isNotZero,
    Boolean: same,
    String: bool,
    Array: none,
    Object: none,
    Null: none,
    Undefined: none,
  },
}

/** `cast(value AS type)`. @throws WorkSpent */
export function cast(value: Value, type: CastType, dialect: Dialect, work: Work): Value {
  spendDigits(work, value)
  return castTables[type][typeOf(value, dialect)](value, dialect, work)
}

/** One step pays for reading 4 characters of a number. */
const digitsAStepLog2 = 2

/** Spends the steps for reading a number or a numeric String. @throws WorkSpent */
export function spendDigits(work: Work, value: Value): void {
  const digits = typeof value === 'string' ? value : isNumber(value) ? value.source : undefined
  if (digits !== undefined) spend(work, digits.length >> digitsAStepLog2)
}
