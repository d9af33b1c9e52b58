/** The operators on values, row by row as the operator tables of the language have them. */
import type { Decimal } from 'decimal.js'
import type { BinaryOperator } from '../parser/ast.ts'
import { toDecimal, toText } from './conversions.ts'
import type { Dialect } from './dialect.ts'
import {
  compareNumbers,
  decimalOf,
  digitsMax,
  exactDouble,
  isInRange,
  isInt,
  numberFromDecimal,
  numberFromInteger,
} from './numbers.ts'
import type { SqlNumber } from './numbers.ts'
import { limitedText } from './text-limit.ts'
import { isArray, isNumber, isObject } from './values.ts'
import type { SqlArray, SqlObject, Value } from './values.ts'
import { unreachable } from '../../base/unreachable.ts'

export type Operation = (left: Value, right: Value) => Value
type ArithmeticOperator = '+' | '-' | '*' | '/' | '%'

/** The operation of an operator in a dialect. */
export function operationOf(operator: BinaryOperator, dialect: Dialect): Operation {
  switch (operator) {
    case '+':
      return (left, right) => add(left, right, dialect)
    case '-':
    case '*':
    case '/':
    case '%':
      return (left, right) => calculate(operator, left, right, dialect)
    case '=':
      return equals
    case '<>':
      return (left, right) => negated(equals(left, right))
    case '<':
      return compared((difference) => difference < 0)
    case '<=':
      return compared((difference) => difference <= 0)
    case '>':
      return compared((difference) => difference > 0)
    case '>=':
      return compared((difference) => difference >= 0)
    case 'IN':
      return isIn
    case 'NOT IN':
      return (left, right) => negated(isIn(left, right))
    default:
      return unreachable(operator)
  }
}

/** A String on either side joins the texts of both; otherwise only numbers add. */
function add(left: Value, right: Value, dialect: Dialect): Value {
  if (typeof left !== 'string' && typeof right !== 'string') {
    return isNumber(left) && isNumber(right) ? calculate('+', left, right, dialect) : undefined
  }
  const leftText = toText(left, dialect)
  const rightText = toText(right, dialect)
  if (leftText === undefined || rightText === undefined) return undefined
  return limitedText(leftText + rightText)
}

/** Two Ints give an Int; a Decimal or a numeric String on either side makes it Decimal. */
export function calculate(
  operator: ArithmeticOperator,
  left: Value,
  right: Value,
  dialect: Dialect,
): Value {
  const [a, b] = [toDecimal(left), toDecimal(right)]
  if (a === undefined || b === undefined) return undefined
  const ofInts = isNumber(left) && isNumber(right) && isInt(a, dialect) && isInt(b, dialect)
  if (ofInts) {
    const small = calculateSmall(operator, exactDouble(a), exactDouble(b))
    if (small !== undefined) return numberFromInteger(small)
  }
  return calculateExactly(operator, operandOf(a), operandOf(b), ofInts)
}

/** Ints whose operands and result doubles hold exactly; Undefined when one is too large, or x / 0. */
function calculateSmall(operator: ArithmeticOperator, a: number, b: number): number | undefined {
  if (!Number.isSafeInteger(a) || !Number.isSafeInteger(b)) return undefined
  let result: number
  switch (operator) {
    case '+':
      result = a + b
      break
    case '-':
      result = a - b
      break
    case '*':
      result = a * b
      break
    case '/':
      result = (a - (a % b)) / b
      break
    case '%':
      result = a % b
      break
  }
  return Number.isSafeInteger(result) ? result : undefined
}

function calculateExactly(
  operator: ArithmeticOperator,
  a: Decimal,
  b: Decimal,
  ofInts: boolean,
): Value {
  if (!isInRange(a) || !isInRange(b)) return undefined
  const form = ofInts ? 'integer' : 'fraction'
  switch (operator) {
    case '+':
      return numberFromDecimal(a.plus(b), form)
    case '-':
      return numberFromDecimal(a.minus(b), form)
    case '*':
      return numberFromDecimal(a.times(b), form)
    case '/':
      if (b.isZero()) return undefined
      return numberFromDecimal(ofInts ? a.dividedToIntegerBy(b) : a.dividedBy(b), form)
    case '%':
      return b.isZero() ? undefined : numberFromDecimal(a.modulo(b), form)
    default:
      return unreachable(operator)
  }
}

/** An operand has 34 digits at most, however many a payload wrote: work has a bound. */
function operandOf(number: SqlNumber): Decimal {
  const decimal = decimalOf(number)
  return decimal.precision() > digitsMax ? decimal.toSignificantDigits(digitsMax) : decimal
}

/** Unary minus: of a number, or of a String that is one. */
export function negate(value: Value): Value {
  const number = toDecimal(value)
  if (number === undefined) return undefined
  const double = exactDouble(number)
  if (number.form === 'integer' && Number.isSafeInteger(double)) return numberFromInteger(-double)
  const form = number.form === 'integer' ? 'integer' : 'fraction'
  return numberFromDecimal(decimalOf(number).negated(), form)
}

function compared(holds: (difference: number) => boolean): Operation {
  return (left, right) => {
    const a = isNumber(left) ? left : toDecimal(left)
    const b = isNumber(right) ? right : toDecimal(right)
    return a === undefined || b === undefined ? undefined : holds(compareNumbers(a, b))
  }
}

function negated(value: Value): Value {
  return typeof value === 'boolean' ? !value : undefined
}

/** `=`: Undefined on either side gives Undefined, values of different types are not equal. */
export function equals(left: Value, right: Value): Value {
  return left === undefined || right === undefined ? undefined : areEqual(left, right)
}

function areEqual(left: Value, right: Value): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object') return false
  if (left === null || right === null) return false
  if (isArray(left)) return isArray(right) && areEqualArrays(left, right)
  if (isObject(left)) return isObject(right) && areEqualObjects(left, right)
  return isNumber(right) && compareNumbers(left, right) === 0
}

function areEqualArrays(left: SqlArray, right: SqlArray): boolean {
  return left.length === right.length && left.every((item, index) => areEqual(item, right[index]))
}

function areEqualObjects(left: SqlObject, right: SqlObject): boolean {
  if (left.size !== right.size) return false
  for (const [key, member] of left) {
    if (!right.has(key) || !areEqual(member, right.get(key))) return false
  }
  return true
}

/** `x IN array`: whether an equal item is there. */
function isIn(left: Value, right: Value): Value {
  if (left === undefined || !isArray(right)) return undefined
  return right.some((item) => areEqual(left, item))
}
