import type { Dialect } from './dialect.ts'
import { numberText } from './numbers.ts'
import { isArray, isObject } from './values.ts'
import type { SqlArray, SqlObject, Value } from './values.ts'

/** Characters that JSON text cannot hold as they are; half pairs would be lost in UTF-8. */
const needsEscape = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

/**
 * The compact JSON text of a value, keys in order of their source.
 *
 * @param value any; Undefined is left out of arrays and objects, and alone it is the empty text
 */
export function writeJson(value: Value, dialect: Dialect): string {
  if (typeof value === 'string') return writeString(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === undefined) return ''
  if (value === null) return 'null'
  if (isObject(value)) return writeObject(value, dialect)
  return isArray(value) ? writeArray(value, dialect) : numberText(value, dialect)
}

/** A string between quotes. */
export function writeString(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`
}

function writeObject(value: SqlObject, dialect: Dialect): string {
  let text = ''
  for (const [key, member] of value) {
    if (member === undefined) continue
    text += `${text === '' ? '' : ','}${writeString(key)}:${writeJson(member, dialect)}`
  }
  return `{${text}}`
}

function writeArray(value: SqlArray, dialect: Dialect): string {
  let text = ''
  for (const item of value) {
    if (item === undefined) continue
    text += (text === '' ? '' : ',') + writeJson(item, dialect)
  }
  return `[${text}]`
}
