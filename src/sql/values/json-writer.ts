import type { Dialect } from './dialect.ts'
import { numberText } from './numbers.ts'
import { textLengthMax } from './text-limit.ts'
import { isArray, isObject } from './values.ts'
import type { SqlArray, SqlObject, Value } from './values.ts'
import { spend } from './work.ts'
import type { Work } from './work.ts'

/** Characters that JSON must escape. Lone surrogates are among them: UTF-8 would lose them. */
const needsEscape = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

/**
 * The compact JSON text of a value, keys in order of their source.
 *
 * A value of a few kilobytes can have a text of many gigabytes, because its parts may be the same
 * object. The writer therefore counts down and stops at the limit. The pieces are joined once at
 * the end: V8 stores a text that grows piece by piece as a tree, which takes many times its memory.
 *
 * @param value any value; Undefined is left out of arrays and objects, and by itself it is ''
 * @param lengthMax UTF-16 units
 * @returns undefined when the text is longer than `lengthMax`
 */
export function writeJson(value: Value, dialect: Dialect, lengthMax: number): string | undefined {
  if (isArray(value) || isObject(value)) {
    const writing: Writing = { pieces: [], lengthLeft: lengthMax, dialect }
    return write(writing, '', value) ? writing.pieces.join('') : undefined
  }
  if (typeof value === 'string' && value.length > lengthMax) return undefined
  const text = leafText(value, dialect)
  return text.length <= lengthMax ? text : undefined
}

/**
 * The JSON text of a value in a rule; undefined when it is longer than `textLengthMax`.
 *
 * @throws WorkSpent
 */
export function writtenJson(value: Value, dialect: Dialect, work: Work): string | undefined {
  const lengthMax = Math.min(textLengthMax, work.stepsLeft)
  const text = writeJson(value, dialect, lengthMax)
  spend(work, text === undefined ? lengthMax + 1 : text.length)
  return text
}

/** A string between quotes. */
export function writeString(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`
}

type Leaf = Exclude<Value, SqlArray | SqlObject>

function leafText(value: Leaf, dialect: Dialect): string {
  if (typeof value === 'string') return writeString(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === undefined) return ''
  return value === null ? 'null' : numberText(value, dialect)
}

interface Writing {
  readonly pieces: string[]
  /** Below 0 once the text is too long. */
  lengthLeft: number
  readonly dialect: Dialect
}

/**
 * Adds a value and the text before it.
 *
 * @returns whether the text may still be within its limit, as the other functions do
 */
function write(writing: Writing, before: string, value: Value): boolean {
  if (isArray(value)) return add(writing, before) && writeArray(writing, value)
  if (isObject(value)) return add(writing, before) && writeObject(writing, value)
  if (typeof value === 'string' && value.length > writing.lengthLeft) return false
  return add(writing, before + leafText(value, writing.dialect))
}

function add(writing: Writing, piece: string): boolean {
  writing.lengthLeft -= piece.length
  writing.pieces.push(piece)
  return writing.lengthLeft >= 0
}

function writeObject(writing: Writing, value: SqlObject): boolean {
  let before = '{'
  for (const [key, member] of value) {
    if (member === undefined) continue
    if (!write(writing, `${before}${writeString(key)}:`, member)) return false
    before = ','
  }
  return add(writing, before === '{' ? '{}' : '}')
}

function writeArray(writing: Writing, value: SqlArray): boolean {
  let before = '['
  for (const item of value) {
    if (item === undefined) continue
    if (!write(writing, before, item)) return false
    before = ','
  }
  return add(writing, before === '[' ? '[]' : ']')
}
