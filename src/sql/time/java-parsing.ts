/**
 * The parts of a java.time pattern as parsers of text.
 *
 * A parser reads from a position, records what it found in the state, and returns the position
 * after it. On a mismatch an enclosing optional section is left out; a failure ends the whole
 * parse.
 */
import type { Zone } from './zones.ts'

/** The fields of pattern letters, and those that the resolver derives from them. */
export type Field =
  | 'era'
  | 'year'
  | 'yearOfEra'
  | 'quarter'
  | 'month'
  | 'dayOfMonth'
  | 'dayOfYear'
  | 'dayOfWeekInMonth'
  | 'dayOfWeek'
  | 'localDayOfWeek'
  | 'weekyear'
  | 'weekOfWeekyear'
  | 'weekOfMonth'
  | 'modifiedJulianDay'
  | 'halfDay'
  | 'hour'
  | 'clockHour'
  | 'hourOfHalfDay'
  | 'clockHourOfHalfDay'
  | 'minute'
  | 'second'
  | 'nano'
  | 'milliOfDay'
  | 'nanoOfDay'
  | 'offsetSeconds'

export type Fields = Map<Field, number>

export interface ParseState {
  fields: Fields
  zone: Zone | undefined
}

export type Parse = (text: string, position: number, state: ParseState) => number

/** The text does not match the parser. */
export const mismatch = -1
/** Java throws here, also inside of an optional section. */
export const failure = -2

/** A field may come twice with the same value. */
export function setField(state: ParseState, field: Field, value: number, end: number): number {
  const known = state.fields.get(field)
  if (known !== undefined && known !== value) return mismatch
  state.fields.set(field, value + 0)
  return end
}

/** Matches literal characters. */
export function literal(characters: string): Parse {
  return (text, position) =>
    text.startsWith(characters, position) ? position + characters.length : mismatch
}

/**
 * Matches one of several words, the longest that fits. The value of a word is its last index,
 * counted from `first`.
 */
export function words(field: Field, texts: readonly string[], first: number): Parse {
  const values = new Map(texts.map((word, index) => [word, first + index]))
  const entries = [...values]
    .map(([word, value]) => ({ word, value }))
    .toSorted((left, right) => right.word.length - left.word.length)
  return (text, position, state) => {
    const entry = entries.find(({ word }) => text.startsWith(word, position))
    if (entry === undefined) return mismatch
    return setField(state, field, entry.value, position + entry.word.length)
  }
}

/** Matches all parts in order. */
export function sequence(parts: readonly Parse[]): Parse {
  return (text, position, state) => {
    let at = position
    for (const part of parts) {
      at = part(text, at, state)
      if (at < 0) return at
    }
    return at
  }
}

/** Matches all parts or none: a mismatch restores the state. */
export function optional(parts: readonly Parse[]): Parse {
  const parse = sequence(parts)
  return (text, position, state) => {
    const attempt: ParseState = { fields: new Map(state.fields), zone: state.zone }
    const end = parse(text, position, attempt)
    if (end === mismatch) return position
    state.fields = attempt.fields
    state.zone = attempt.zone
    return end
  }
}

/** Matches the part with blanks before it, `width` characters together. */
export function padded(part: Parse, width: number): Parse {
  return (text, position, state) => {
    const end = position + width
    if (position === text.length || end > text.length) return mismatch
    let at = position
    while (at < end && text.charAt(at) === ' ') at++
    const partEnd = part(text.slice(0, end), at, state)
    return partEnd === failure || partEnd === end ? partEnd : mismatch
  }
}
