/** The operators on values, in the order of the operator tables in the AWS IoT guide. */
import type { Decimal } from 'decimal.js'
import type { BinaryOperator } from '../parser/ast.ts'
import { spendDigits, toDecimal, toText } from './conversions.ts'
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
import { madeText } from './text-limit.ts'
import { isArray, isNumber, isObject } from './values.ts'
import type { SqlArray, SqlObject, Value } from './values.ts'
import { unreachable } from '../../base/unreachable.ts'
import { spend } from './work.ts'
import type { Work } from './work.ts'

/** @throws WorkSpent */
type Operation = (left: Value, right: Value, work: Work) => Value
type ArithmeticOperator = '+' | '-' | '*' | '/' | '%'

/** The operation of an operator in a dialect. */
export function operationOf(operator: BinaryOperator, dialect: Dialect): Operation {
  switch (operator) {
    case '+':
      return (left, right, work) => add(left, right, dialect, work)
    case '-':
    case '*':
    case '/':
    case '%':
      return (left, right, work) => calculate(operator, left, right, dialect, work)
    case '=':
      return equals
    case '<>':
      return (left, right, work) => negated(equals(left, right, work))
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
      return (left, right, work) => negated(isIn(left, right, work))
    default:
      return unreachable(operator)
  }
}

/** `+`: with a String on either side it concatenates; otherwise it adds numbers. */
function add(left: Value, right: Value, dialect: Dialect, work: Work): Value {
  if (typeof left !== 'string' && typeof right !== 'string') {
    return isNumber(left) && isNumber(right)
      ? calculate('+', left, right, dialect, work)
      : undefined
  }
  const leftText = toText(left, dialect, work)
  const rightText = toText(right, dialect, work)
  if (leftText === undefined || rightText === undefined) return undefined
  return madeText(leftText + rightText, work)
}

/** The number of an operand. Spends steps for long ones. */
function numberOf(value: Value, work: Work): SqlNumber | undefined {
  if (typeof value === 'string') {
    spendDigits(work, value)
    return toDecimal(value)
  }
  if (!isNumber(value)) return undefined
  if (value.source !== undefined && value.source.length > digitsMax) spendDigits(work, value)
  return value
}

/** The steps of a calculation on decimals of 34 digits. */
const decimalSteps = 40

/** Two Ints give an Int; a Decimal or a numeric String on either side gives a Decimal. */
export function calculate(
  operator: ArithmeticOperator,
  left: Value,
  right: Value,
  dialect: Dialect,
  work: Work,
): Value {
  const a = numberOf(left, work)
  const b = numberOf(right, work)
  if (a === undefined || b === undefined) return undefined
  const ofInts = isNumber(left) && isNumber(right) && isInt(a, dialect) && isInt(b, dialect)
  if (ofInts) {
    const small = calculateSmall(operator, exactDouble(a), exactDouble(b))
    if (small !== undefined) return numberFromInteger(small)
  }
  spend(work, decimalSteps)
  return calculateExactly(operator, operandOf(a), operandOf(b), ofInts)
}

/** Calculates Ints that doubles hold exactly; undefined for larger ones and for x / 0. */
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

/** Rounds an operand to 34 digits, so that a payload with more digits costs no more work. */
function operandOf(number: SqlNumber): Decimal {
  const decimal = decimalOf(number)
  return decimal.precision() > digitsMax ? decimal.toSignificantDigits(digitsMax) : decimal
}

/** Unary minus of a number or a numeric String. */
export function negate(value: Value): Value {
  const number = toDecimal(value)
  if (number === undefined) return undefined
  const double = exactDouble(number)
  if (number.form === 'integer' && Number.isSafeInteger(double)) return numberFromInteger(-double)
  const form = number.form === 'integer' ? 'integer' : 'fraction'
  return numberFromDecimal(decimalOf(number).negated(), form)
}

function compared(holds: (difference: number) => boolean): Operation {
  return (left, right, work) => {
    const a = numberOf(left, work)
    const b = numberOf(right, work)
    return a === undefined || b === undefined ? undefined : holds(compareNumbers(a, b))
  }
}

function negated(value: Value): Value {
  return typeof value === 'boolean' ? !value : undefined
}

/** `=`: Undefined on either side gives Undefined; values of different types are not equal. */
export function equals(left: Value, right: Value, work: Work): Value {
  return left === undefined || right === undefined ? undefined : areEqual(left, right, work)
}

/** One step pays for comparing 16 characters. */
const comparedAStepLog2 = 4

function areEqual(left: Value, right: Value, work: Work): boolean {
  spend(work, 1)
  if (typeof left === 'string') {
    if (typeof right !== 'string' || left.length !== right.length) return false
    spend(work, left.length >> comparedAStepLog2)
    return left === right
  }
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object') return false
  if (left === null || right === null) return false
  if (isArray(left)) return isArray(right) && areEqualArrays(left, right, work)
  if (isObject(left)) return isObject(right) && areEqualObjects(left, right, work)
  if (!isNumber(right)) return false
  spend(work, ((left.source?.length ?? 0) + (right.source?.length ?? 0)) >> comparedAStepLog2)
  return compareNumbers(left, right) === 0
}

function areEqualArrays(left: SqlArray, right: SqlArray, work: Work): boolean {
  return (
    left.length === right.length && left.every((item, index) => areEqual(item, right[index], work))
  )
}

function areEqualObjects(left: SqlObject, right: SqlObject, work: Work): boolean {
  if (left.size !== right.size) return false
  for (const [key, member] of left) {
    if (!right.has(key) || !areEqual(member, right.get(key), work)) return false
  }
  return true
}

/** `x IN array`: whether the array has an equal item. */
function isIn(left: Value, right: Value, work: Work): Value {
  if (left === undefined || !isArray(right)) return undefined
  return right.some((item) => areEqual(left, item, work))
}
