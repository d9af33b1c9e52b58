import { shorten } from '../../base/errors.ts'
import type { TextCheck } from './action-template.ts'

/** Characters that a message shows of a text from outside. */
const shownCharactersMax = 140

/** @param what the text must be: `"x" is not <what>` */
export function matching(pattern: RegExp, what: string): TextCheck {
  return (text) => (pattern.test(text) ? undefined : `"${shown(text)}" is not ${what}`)
}

/** One of a few words, spelt exactly. */
export function oneOf(words: readonly string[]): TextCheck {
  return (text) =>
    words.includes(text) ? undefined : `"${shown(text)}" is none of ${words.join(', ')}`
}

/** From `min` to `max` characters (Unicode code points). */
export function lengthBetween(min: number, max: number): TextCheck {
  return (text) => {
    if (text.length >= min && text.length <= max) return undefined
    const length = Array.from(text).length
    if (length < min) return min === 1 ? 'the text is empty' : `the text has ${length} characters`
    return length > max ? `the text has ${length} characters; at most ${max} are taken` : undefined
  }
}

/** A finite decimal number, in the syntax of JSON with an optional plus and leading zeros. */
export const decimalNumber: TextCheck = (text) =>
  isDecimal(text) ? undefined : `"${shown(text)}" is not a number`

const decimalSyntax = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

function isDecimal(text: string): boolean {
  return decimalSyntax.test(text) && Number.isFinite(Number(text))
}

/** A whole number from `min` to `max`, in decimal digits. */
export function integerBetween(min: bigint, max: bigint): TextCheck {
  return (text) => {
    const value = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined
    if (value !== undefined && value >= min && value <= max) return undefined
    return `"${shown(text)}" is not a whole number from ${min} to ${max}`
  }
}

export function shown(text: string): string {
  return shorten(text, shownCharactersMax)
}

/** Amazon DynamoDB API Reference, TableName. */
export const tableName = matching(
  /^(?:[a-zA-Z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/[a-zA-Z0-9_.-]{3,255})$/,
  'the name of a table: 3 to 255 letters, digits, ".", "_" or "-"',
)
