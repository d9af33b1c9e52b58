/**
 * Reads JSON (RFC 8259) without loss: numbers keep their text, and objects keep every key in the
 * order of the text. It accepts what `JSON.parse` accepts. Of a repeated key the last value counts,
 * in the place of the first one, as with `JSON.parse`.
 */
import { numberFromSource } from './numbers.ts'
import type { NumberForm } from './numbers.ts'
import type { Value } from './values.ts'

/** The greatest depth of arrays and objects. A deeper text does not count as JSON. */
export const jsonDepthMax = 1000

/** The state of a reading. `depth` is the part of `jsonDepthMax` that is left. */
interface Reading {
  readonly text: string
  at: number
  depth: number
}

/** Thrown inside this file only. There is one, because capturing a stack for each is expensive. */
const notJson = new Error('not JSON')

const code = {
  tab: 0x09,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  point: 0x2e,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  openSquare: 0x5b,
  backslash: 0x5c,
  closeSquare: 0x5d,
  openCurly: 0x7b,
  closeCurly: 0x7d,
} as const

/**
 * Reads a JSON text. Undefined means that the text is not JSON, since JSON has no such value.
 *
 * @param text decoded, without byte order mark
 */
export function readJson(text: string): Value {
  const reading: Reading = { text, at: 0, depth: jsonDepthMax }
  try {
    const value = readValue(reading)
    skipSpace(reading)
    return reading.at === text.length ? value : undefined
  } catch (thrown) {
    if (thrown === notJson) return undefined
    throw thrown
  }
}

/** Moves to the next character that is not white space and returns its code (NaN at the end). */
function skipSpace(reading: Reading): number {
  const { text } = reading
  let at = reading.at
  let next = text.charCodeAt(at)
  while (
    next === code.space ||
    next === code.lineFeed ||
    next === code.carriageReturn ||
    next === code.tab
  ) {
    next = text.charCodeAt(++at)
  }
  reading.at = at
  return next
}

function readValue(reading: Reading): Value {
  const first = skipSpace(reading)
  switch (first) {
    case code.openCurly:
      return readObject(reading)
    case code.openSquare:
      return readArray(reading)
    case code.quote:
      return readString(reading)
    case 0x74:
      return readWord(reading, 'true', true)
    case 0x66:
      return readWord(reading, 'false', false)
    case 0x6e:
      return readWord(reading, 'null', null)
    default:
      return readNumber(reading, first)
  }
}

function readObject(reading: Reading): Value {
  if (--reading.depth < 0) throw notJson
  const members = new Map<string, Value>()
  reading.at++
  let next = skipSpace(reading)
  if (next !== code.closeCurly) {
    for (;;) {
      if (next !== code.quote) throw notJson
      const key = readString(reading)
      if (skipSpace(reading) !== code.colon) throw notJson
      reading.at++
      members.set(key, readValue(reading))
      next = skipSpace(reading)
      if (next === code.closeCurly) break
      if (next !== code.comma) throw notJson
      reading.at++
      next = skipSpace(reading)
    }
  }
  reading.at++
  reading.depth++
  return members
}

function readArray(reading: Reading): Value {
  if (--reading.depth < 0) throw notJson
  const items: Value[] = []
  reading.at++
  if (skipSpace(reading) !== code.closeSquare) {
    for (;;) {
      items.push(readValue(reading))
      const next = skipSpace(reading)
      if (next === code.closeSquare) break
      if (next !== code.comma) throw notJson
      reading.at++
    }
  }
  reading.at++
  reading.depth++
  return items
}

/** Strings that are longer are not walked by character, which takes five times as long. */
const walkedMax = 32
/** A backslash, or a control character. */
const special = /[^ -[\]-\uffff]/

/** Reads a string from its opening quote on. */
function readString(reading: Reading): string {
  const { text } = reading
  const start = reading.at + 1
  let at = start
  let next = text.charCodeAt(at)
  while (next !== code.quote) {
    if (next === code.backslash) return readEscapedString(reading, at)
    if (!(next >= code.space)) throw notJson // a control character, or NaN: the end of the text
    if (at - start === walkedMax) return readLongString(reading, start)
    next = text.charCodeAt(++at)
  }
  reading.at = at + 1
  return text.slice(start, at)
}

function readLongString(reading: Reading, start: number): string {
  const { text } = reading
  const end = text.indexOf('"', start)
  if (end === -1) throw notJson
  const string = text.slice(start, end)
  const found = special.exec(string)
  if (found !== null) return readEscapedString(reading, start + found.index)
  reading.at = end + 1
  return string
}

/** Reads a string with a backslash at `backslashAt`: finds its end, and `JSON.parse` reads it. */
function readEscapedString(reading: Reading, backslashAt: number): string {
  const { text } = reading
  let end = text.indexOf('"', backslashAt)
  while (end !== -1 && isEscaped(text, end, backslashAt)) end = text.indexOf('"', end + 1)
  if (end === -1) throw notJson
  const literal = text.slice(reading.at, end + 1)
  reading.at = end + 1
  try {
    return JSON.parse(literal) as string
  } catch {
    throw notJson
  }
}

/** Whether an odd number of backslashes stands before a character, from `from` on. */
function isEscaped(text: string, at: number, from: number): boolean {
  let first = at
  while (first > from && text.charCodeAt(first - 1) === code.backslash) first--
  return (at - first) % 2 === 1
}

function readWord<T extends boolean | null>(reading: Reading, word: string, value: T): T {
  if (!reading.text.startsWith(word, reading.at)) throw notJson
  reading.at += word.length
  return value
}

function isDigit(character: number): boolean {
  return character >= code.zero && character <= code.nine
}

function readNumber(reading: Reading, first: number): Value {
  const { text } = reading
  const start = reading.at
  let at = start
  let form: NumberForm = 'integer'
  let next = first
  if (next === code.minus) next = text.charCodeAt(++at)
  if (!isDigit(next)) throw notJson
  if (next === code.zero) next = text.charCodeAt(++at)
  else
    do next = text.charCodeAt(++at)
    while (isDigit(next))
  if (next === code.point) {
    form = 'fraction'
    next = text.charCodeAt(++at)
    if (!isDigit(next)) throw notJson
    do next = text.charCodeAt(++at)
    while (isDigit(next))
  }
  if (next === 0x65 || next === 0x45) {
    form = 'exponent'
    next = text.charCodeAt(++at)
    if (next === code.minus || next === 0x2b) next = text.charCodeAt(++at)
    if (!isDigit(next)) throw notJson
    do next = text.charCodeAt(++at)
    while (isDigit(next))
  }
  reading.at = at
  return numberFromSource(text.slice(start, at), form)
}
