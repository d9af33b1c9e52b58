import type { Dialect } from './dialect.ts'
import { numberText } from './numbers.ts'
import { isArray, isObject } from './values.ts'
import type { SqlArray, SqlObject, Value } from './values.ts'

/** Characters that JSON text cannot hold as they are; half pairs would be lost in UTF-8. */
const needsEscape = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

/**
 * The compact JSON text of a value, keys in order of their source.
 *
 * A value of a few kilobytes can have a text of many gigabytes, because its parts may be one and
 * the same object. So the writer counts down, and stops soon after the limit: it never writes a
 * text only to measure it.
 *
 * @param value any; Undefined is left out of arrays and objects, and alone it is the empty text
 * @param lengthMax UTF-16 units
 * @returns undefined when the text is longer than `lengthMax`
 */
export function writeJson(value: Value, dialect: Dialect, lengthMax: number): string | undefined {
  const text = writeValue(value, dialect, lengthMax)
  return text !== undefined && text.length <= lengthMax ? text : undefined
}

/** A string between quotes. */
export function writeString(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`
}

/** May be longer than `lengthMax` by the brackets and the last text in it. */
function writeValue(value: Value, dialect: Dialect, lengthMax: number): string | undefined {
  if (typeof value === 'string') return value.length > lengthMax ? undefined : writeString(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === undefined) return ''
  if (value === null) return 'null'
  if (isObject(value)) return writeObject(value, dialect, lengthMax)
  return isArray(value) ? writeArray(value, dialect, lengthMax) : numberText(value, dialect)
}

function writeObject(value: SqlObject, dialect: Dialect, lengthMax: number): string | undefined {
  let text = ''
  for (const [key, member] of value) {
    if (member === undefined) continue
    const memberText = writeValue(member, dialect, lengthMax - text.length)
    if (memberText === undefined) return undefined
    text += `${text === '' ? '' : ','}${writeString(key)}:${memberText}`
    if (text.length > lengthMax) return undefined
  }
  return `{${text}}`
}

function writeArray(value: SqlArray, dialect: Dialect, lengthMax: number): string | undefined {
  let text = ''
  for (const item of value) {
    if (item === undefined) continue
    const itemText = writeValue(item, dialect, lengthMax - text.length)
    if (itemText === undefined) return undefined
    text += (text === '' ? '' : ',') + itemText
    if (text.length > lengthMax) return undefined
  }
  return `[${text}]`
}
