/**
 * Functions on texts. Other arguments become Strings by the standard conversion; Null and Undefined
 * give Undefined. Characters are UTF-16 units, as in Java. A result longer than `textLengthMax` is
 * Undefined.
 */
import { Decimal } from 'decimal.js'
import { spendDigits, toText } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import { nearestDouble, numberFromInteger } from '../values/numbers.ts'
import { madeText, textLengthMax } from '../values/text-limit.ts'
import { isArray } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { Implementation, SqlFunction } from './function.ts'
import { toClampedInteger, toWhole } from './number-arguments.ts'

/** The most blanks that one call of lpad or rpad adds. */
const padLengthMax = 1000
const asciiMax = 127
/** One step pays for reading 16 characters. */
const readAStepLog2 = 4
/** One step pays for searching 8 characters. */
const searchedAStepLog2 = 3
const space = 0x20

const firstVersion = '2015-10-08'
const secondVersion = '2016-03-23'

export const stringFunctions: readonly SqlFunction[] = [
  stringFunction('concat', [0, Number.POSITIVE_INFINITY], concat),
  stringFunction('chr', [1, 1], ([value]) => chr(value)),
  ofText('lower', firstVersion, (text, work) => madeText(text.toLowerCase(), work)),
  ofText('upper', firstVersion, (text, work) => madeText(text.toUpperCase(), work)),
  ofText('ltrim', firstVersion, (text) => text.slice(startOf(text))),
  ofText('rtrim', firstVersion, (text) => text.slice(0, endOf(text))),
  ofText('trim', firstVersion, trim),
  ofText('length', secondVersion, (text) => numberFromInteger(text.length)),
  ofText('numbytes', secondVersion, (text) => numberFromInteger(Buffer.byteLength(text))),
  ofTwoTexts('startswith', firstVersion, (text, start) => text.startsWith(start)),
  ofTwoTexts('endswith', firstVersion, (text, end) => text.endsWith(end)),
  ofTwoTexts('indexof', secondVersion, (text, part) => numberFromInteger(text.indexOf(part))),
  padding('lpad', (text, blanks) => blanks + text),
  padding('rpad', (text, blanks) => text + blanks),
  stringFunction('replace', [3, 3], replace),
  stringFunction('substring', [2, 3], substring),
]

function stringFunction(
  name: string,
  arity: SqlFunction['arity'],
  compute: (values: readonly Value[], dialect: Dialect, work: Work) => Value,
  sinceVersion: SqlFunction['sinceVersion'] = firstVersion,
): SqlFunction {
  const implementation: Implementation = (values, { state }, dialect) =>
    compute(values, dialect, state)
  return { name, sinceVersion, arity, implementation }
}

function ofText(
  name: string,
  sinceVersion: SqlFunction['sinceVersion'],
  compute: (text: string, work: Work) => Value,
): SqlFunction {
  const apply = ([value]: readonly Value[], dialect: Dialect, work: Work) => {
    const text = toText(value, dialect, work)
    if (text === undefined) return undefined
    spend(work, text.length >> readAStepLog2)
    return compute(text, work)
  }
  return stringFunction(name, [1, 1], apply, sinceVersion)
}

function ofTwoTexts(
  name: string,
  sinceVersion: SqlFunction['sinceVersion'],
  compute: (first: string, second: string) => Value,
): SqlFunction {
  const apply = ([left, right]: readonly Value[], dialect: Dialect, work: Work) => {
    const [first, second] = [toText(left, dialect, work), toText(right, dialect, work)]
    if (first === undefined || second === undefined) return undefined
    spend(work, searchSteps(first, second))
    return compute(first, second)
  }
  return stringFunction(name, [2, 2], apply, sinceVersion)
}

/**
 * Adds the given number of blanks. It does not fill the text up to a width.
 */
function padding(name: string, pad: (text: string, blanks: string) => string): SqlFunction {
  return stringFunction(name, [2, 2], ([value, count], dialect, work) => {
    const text = toText(value, dialect, work)
    spendDigits(work, count)
    const length = toClampedInteger(count, Decimal.ROUND_FLOOR, 0, padLengthMax)
    if (text === undefined || length === undefined) return undefined
    return madeText(pad(text, ' '.repeat(length)), work)
  })
}

/**
 * `concat`: a single value stays as it is. With an array among the values, the result is one array
 * with the items of all arrays. Otherwise, with at least one String, it is the text of all values.
 */
function concat(values: readonly Value[], dialect: Dialect, work: Work): Value {
  if (values.length <= 1) return values[0]
  if (values.some(isArray)) return concatArrays(values, work)
  if (!values.some((value) => typeof value === 'string')) return undefined
  let joined = ''
  for (const value of values) {
    const text = toText(value, dialect, work)
    if (text === undefined || joined.length + text.length > textLengthMax) return undefined
    joined += text
  }
  return madeText(joined, work)
}

/** One array of all values, with the items of arrays in place of the arrays. */
function concatArrays(values: readonly Value[], work: Work): Value {
  const joined: Value[] = []
  for (const value of values) {
    if (isArray(value)) {
      spend(work, value.length)
      for (const item of value) joined.push(item)
    } else if (value !== undefined) joined.push(value)
  }
  return joined
}

/** `chr`: the ASCII character of a code. */
function chr(value: Value): Value {
  const code = toWhole(value, Decimal.ROUND_FLOOR)
  if (code === undefined) return undefined
  const double = nearestDouble(code)
  return double >= 0 && double <= asciiMax ? String.fromCharCode(double) : undefined
}

/** The steps of each replacement, which adds two pieces to the result. */
const stepsOfPlace = 4

/** Replaces every occurrence of a literal text. The empty text occurs around every character. */
function replace(values: readonly Value[], dialect: Dialect, work: Work): Value {
  const [text, part, by] = values.map((value) => toText(value, dialect, work))
  if (text === undefined || part === undefined || by === undefined) return undefined
  spend(work, searchSteps(text, part))
  const count = countOf(part, text)
  if (count === 0) return text
  if (text.length + count * (by.length - part.length) > textLengthMax) return undefined
  spend(work, count * stepsOfPlace)
  return madeText(
    text.replaceAll(part, () => by),
    work,
  )
}

/** In the worst case a search reads 1 of 64 characters of the part at each position of the text. */
const partAStepLog2 = 6

/** The steps of a search. It is slow where a long part nearly matches at every position. */
function searchSteps(text: string, part: string): number {
  const places = Math.max(text.length - part.length, 0)
  return (text.length + part.length + places * (part.length >> partAStepLog2)) >> searchedAStepLog2
}

function countOf(part: string, text: string): number {
  if (part === '') return text.length + 1
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++
  return count
}

/** `substring(text, from[, to])`: from a position to the end, or to another one, exclusive. */
function substring(values: readonly Value[], dialect: Dialect, work: Work): Value {
  const text = toText(values[0], dialect, work)
  for (const position of values.slice(1)) spendDigits(work, position)
  if (text === undefined) return undefined
  const position = (value: Value) => toClampedInteger(value, Decimal.ROUND_DOWN, 0, text.length)
  const from = position(values[1])
  const to = values.length === 2 ? text.length : position(values[2])
  return from === undefined || to === undefined ? undefined : text.slice(from, to)
}

function trim(text: string): string {
  const start = startOf(text)
  return start === text.length ? '' : text.slice(start, endOf(text))
}

/** The index after leading white space: every character up to U+0020, as in Java's `trim`. */
function startOf(text: string): number {
  let at = 0
  while (text.charCodeAt(at) <= space) at++
  return at
}

/** The index of trailing white space. */
function endOf(text: string): number {
  let at = text.length
  while (text.charCodeAt(at - 1) <= space) at--
  return at
}
