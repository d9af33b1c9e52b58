/**
 * Functions on numbers. All accept numeric Strings. Any other argument gives Undefined, and so does
 * a result that is NaN or infinite.
 */
import { Decimal } from 'decimal.js'
import { calculate } from '../values/arithmetic.ts'
import { spendDigits } from '../values/conversions.ts'
import {
  decimalOf,
  digitsMax,
  ExactDecimal,
  numberFromDecimal,
  numberFromDouble,
  numberFromInteger,
} from '../values/numbers.ts'
import { isNumber } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import type { Implementation, SqlFunction } from './function.ts'
import { toClampedInteger, toDouble, toNumber, toWhole } from './number-arguments.ts'

/** The steps of a call, whose result may be a decimal of 34 digits. */
const steps = 30

export const mathFunctions: readonly SqlFunction[] = [
  inDoublePrecision('acos', Math.acos),
  inDoublePrecision('asin', Math.asin),
  inDoublePrecision('atan', Math.atan),
  inDoublePrecision('cos', Math.cos),
  inDoublePrecision('cosh', Math.cosh),
  inDoublePrecision('exp', Math.exp),
  inDoublePrecision('ln', Math.log),
  inDoublePrecision('log', Math.log10),
  inDoublePrecision('sin', Math.sin),
  inDoublePrecision('sinh', Math.sinh),
  inDoublePrecision('sqrt', Math.sqrt),
  inDoublePrecision('tan', Math.tan),
  inDoublePrecision('tanh', Math.tanh),
  ofTwo('power', (base, exponent) => ofDoubles(Math.pow, base, exponent)),
  // The guide names the arguments x and y; its example, atan2(1, 0) = pi / 2, has y first.
  ofTwo('atan2', (y, x) => ofDoubles(Math.atan2, y, x)),
  mathFunction('mod', 2, ([a, b], { state }, dialect) => calculate('%', a, b, dialect, state)),
  mathFunction('remainder', 2, ([a, b], { state }, dialect) =>
    calculate('%', a, b, dialect, state),
  ),
  ofTwo('bitand', (a, b) => ofIntegers((left, right) => left & right, a, b)),
  ofTwo('bitor', (a, b) => ofIntegers((left, right) => left | right, a, b)),
  ofTwo('bitxor', (a, b) => ofIntegers((left, right) => left ^ right, a, b)),
  // The guide has bitnot(13) = 2, a complement of four bits; two's complement fits every Int.
  mathFunction('bitnot', 1, ([a]) => ofIntegers((left) => ~left, a, numberFromInteger(0))),
  mathFunction('abs', 1, ([value]) => abs(value)),
  mathFunction('ceil', 1, ([value]) => toWhole(value, Decimal.ROUND_CEIL)),
  mathFunction('floor', 1, ([value]) => toWhole(value, Decimal.ROUND_FLOOR)),
  mathFunction('round', 1, ([value]) => toWhole(value, Decimal.ROUND_HALF_UP)),
  mathFunction('sign', 1, ([value]) => sign(value)),
  ofTwo('trunc', trunc),
  ofTwo('nanvl', (value, fallback) => value ?? fallback),
  {
    name: 'rand',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) =>
      numberFromDouble((document.environment.random ?? Math.random)()),
    isRandom: true,
  },
]

function mathFunction(name: string, count: number, compute: Implementation): SqlFunction {
  const implementation: Implementation = (values, context, dialect) => {
    for (const value of values) spendDigits(context.state, value)
    return compute(values, context, dialect)
  }
  return { name, sinceVersion: '2015-10-08', arity: [count, count], steps, implementation }
}

function ofTwo(name: string, compute: (first: Value, second: Value) => Value): SqlFunction {
  return mathFunction(name, 2, ([first, second]) => compute(first, second))
}

function inDoublePrecision(name: string, compute: (x: number) => number): SqlFunction {
  return mathFunction(name, 1, ([value]) => {
    const double = toDouble(value)
    return double === undefined ? undefined : numberFromDouble(compute(double))
  })
}

function ofDoubles(compute: (a: number, b: number) => number, first: Value, second: Value): Value {
  const [a, b] = [toDouble(first), toDouble(second)]
  return a === undefined || b === undefined ? undefined : numberFromDouble(compute(a, b))
}

/**
 * Two's complement with as many bits as needed; Undefined for Ints of more than 34 digits.
 */
function ofIntegers(compute: (a: bigint, b: bigint) => bigint, first: Value, second: Value): Value {
  const [a, b] = [toBigInt(first), toBigInt(second)]
  if (a === undefined || b === undefined) return undefined
  const result = new ExactDecimal(compute(a, b).toString())
  return result.e < digitsMax ? numberFromDecimal(result, 'integer') : undefined
}

function toBigInt(value: Value): bigint | undefined {
  const whole = toWhole(value, Decimal.ROUND_FLOOR)
  if (whole === undefined) return undefined
  const decimal = decimalOf(whole)
  return decimal.e < digitsMax ? BigInt(decimal.toFixed()) : undefined
}

/** An Int for an Int; a Decimal for a Decimal and for a String. */
function abs(value: Value): Value {
  const number = toNumber(value)
  if (number === undefined) return undefined
  const decimal = decimalOf(number)
  if (isNumber(value) && !decimal.isNegative()) return value
  const isInteger = isNumber(value) && number.form === 'integer'
  return numberFromDecimal(decimal.abs(), isInteger ? 'integer' : 'fraction')
}

function sign(value: Value): Value {
  const number = toNumber(value)
  if (number === undefined) return undefined
  const decimal = decimalOf(number)
  return numberFromInteger(decimal.isZero() ? 0 : decimal.s)
}

/**
 * `trunc`: cut to 0 to 34 places, without trailing zeros. `2.30` cut to 0 places is always `2`.
 */
function trunc(value: Value, places: Value): Value {
  const number = toNumber(value)
  const count = toClampedInteger(places, Decimal.ROUND_FLOOR, 0, digitsMax)
  if (number === undefined || count === undefined) return undefined
  if (number.form === 'integer') return number
  const cut = decimalOf(number).toDecimalPlaces(count, Decimal.ROUND_DOWN)
  return numberFromDecimal(cut, cut.isInteger() && cut.e < digitsMax ? 'integer' : 'fraction')
}
