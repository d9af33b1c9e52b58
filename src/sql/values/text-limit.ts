/**
 * How long a text may become. A payload has 128 KiB, but a rule can multiply it (`a + a + a`,
 * `replace(a, 'x', a)`), so every text that is made in evaluating has this limit: Undefined beyond.
 */
import { isArray, isObject } from './values.ts'
import type { Value } from './values.ts'

/** UTF-16 units: as much as a Kinesis record of 1 MiB can hold. */
export const textLengthMax = 1024 * 1024

/** The text, or Undefined when it is longer than the limit. */
export function limitedText(text: string): string | undefined {
  return text.length <= textLengthMax ? text : undefined
}

/** Whether the JSON text of a value may be within the limit; asked before it is written. */
export function mayFitText(value: Value): boolean {
  return lengthLeft(value, textLengthMax) >= 0
}

/** Counts down by what the text has at least, and no further than below 0. */
function lengthLeft(value: Value, length: number): number {
  if (length < 0) return length
  if (typeof value === 'string') return length - value.length
  let left = length - 1
  if (isArray(value)) {
    for (const item of value) {
      left = lengthLeft(item, left)
      if (left < 0) break
    }
  } else if (isObject(value)) {
    for (const [key, member] of value) {
      left = lengthLeft(member, left - key.length)
      if (left < 0) break
    }
  }
  return left
}
