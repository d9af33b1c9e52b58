/**
 * Patterns of java.time's DateTimeFormatter (JDK 11), which read English (US) text.
 *
 * A run of one letter is a field, square brackets enclose an optional section, `p` pads the next
 * field, and quotes enclose text. Parsing is strict about widths and case. Numbers without a
 * separator share their digits: each has as many digits as letters, except the first, which has the
 * rest.
 */
import {
  abbreviate,
  dayNames,
  eraNames,
  halfDayNames,
  longEraNames,
  monthNames,
} from './english.ts'
import { patternLengthMax } from './joda-pattern.ts'
import { literal, optional, padded, sequence, words } from './java-parsing.ts'
import type { Field, Parse, ParseState } from './java-parsing.ts'
import { digitsMax, numberPart, parseNumber } from './java-numbers.ts'
import type { NumberPart, SignStyle } from './java-numbers.ts'
import { parseGmtOffset, parseOffset, parseZone } from './java-zone-texts.ts'
import type { OffsetFormat } from './java-zone-texts.ts'

/** Reads a text with a pattern; undefined when the text does not match. */
export type ReadText = (text: string) => ParseState | undefined

/** @returns undefined when the pattern is invalid */
export function compileJavaPattern(pattern: string): ReadText | undefined {
  if (pattern.length > patternLengthMax) return undefined
  const parts = compileParts(pattern)
  if (parts === undefined) return undefined
  const parse = sequence(parts)
  return (text) => {
    const state: ParseState = { fields: new Map(), zone: undefined }
    return parse(text, 0, state) === text.length ? state : undefined
  }
}

/** The parts of a section. A number stays open until the part right after it is known. */
interface Section {
  readonly parts: Parse[]
  /** Adjacent numbers: the first leaves digits to the others, whose widths are fixed. */
  run: { readonly first: NumberPart; readonly at: number; digitsReserved: number } | undefined
  /** True when the last part is a padded number: Java allows no number right after it. */
  endsInPaddedNumber: boolean
}

type Part = NumberPart | Parse

const createSection = (): Section => ({ parts: [], run: undefined, endsInPaddedNumber: false })

function compileParts(pattern: string): readonly Parse[] | undefined {
  const sections = [createSection()]
  const top = () => sections.at(-1) ?? createSection()
  const close = () => {
    const section = sections.pop()
    if (section !== undefined && section.parts.length > 0) {
      addPart(top(), optional(section.parts), undefined)
    }
  }
  let at = 0
  while (at < pattern.length) {
    const character = pattern.charAt(at)
    if (character === '[') {
      endRun(top())
      sections.push(createSection())
      at++
    } else if (character === ']') {
      if (sections.length === 1) return undefined
      close()
      at++
    } else {
      const read = readPart(pattern, at)
      if (read === undefined || !addPart(top(), read.part, read.padWidth)) return undefined
      at = read.end
    }
  }
  while (sections.length > 1) close()
  return top().parts
}

function endRun(section: Section): void {
  section.run = undefined
  section.endsInPaddedNumber = false
}

/** @returns false when Java does not take the part in this place */
function addPart(section: Section, part: Part, padWidth: number | undefined): boolean {
  const { parts, run } = section
  if (typeof part === 'function') {
    endRun(section)
    parts.push(padWidth === undefined ? part : padded(part, padWidth))
    return true
  }
  if (padWidth !== undefined) {
    parts.push(padded(parseNumber(part, 0), padWidth))
    section.run = undefined
    section.endsInPaddedNumber = true
    return true
  }
  if (section.endsInPaddedNumber) return false
  if (run !== undefined && part.isFixed) {
    run.digitsReserved += part.digitsMax
    parts[run.at] = parseNumber(run.first, run.digitsReserved)
    parts.push(parseNumber(part, 0))
    return true
  }
  // A number without fixed width ends the run: the first number takes back the digits it left.
  if (run !== undefined) parts[run.at] = parseNumber(run.first, 0)
  section.run = { first: part, at: parts.length, digitsReserved: 0 }
  parts.push(parseNumber(part, 0))
  return true
}

interface ReadPart {
  readonly part: Part
  readonly padWidth: number | undefined
  readonly end: number
}

function readPart(pattern: string, at: number): ReadPart | undefined {
  const character = pattern.charAt(at)
  if (character === "'") return readQuoted(pattern, at)
  if (isLetter(character)) return readField(pattern, at)
  if (character === '{' || character === '}' || character === '#') return undefined
  return { part: literal(character), padWidth: undefined, end: at + 1 }
}

function readQuoted(pattern: string, start: number): ReadPart | undefined {
  let text = ''
  for (let at = start + 1; at < pattern.length; at++) {
    if (pattern.charAt(at) !== "'") {
      text += pattern.charAt(at)
    } else if (pattern.charAt(at + 1) === "'") {
      text += "'"
      at++
    } else {
      return { part: literal(text === '' ? "'" : text), padWidth: undefined, end: at + 1 }
    }
  }
  return undefined
}

function readField(pattern: string, at: number): ReadPart | undefined {
  const letter = pattern.charAt(at)
  const end = endOfRun(pattern, at)
  if (letter !== 'p') {
    const part = partOf(letter, end - at)
    return part === undefined ? undefined : { part, padWidth: undefined, end }
  }
  const field = pattern.charAt(end)
  const fieldEnd = endOfRun(pattern, end)
  const part = isLetter(field) ? partOf(field, fieldEnd - end) : undefined
  return part === undefined ? undefined : { part, padWidth: end - at, end: fieldEnd }
}

function endOfRun(pattern: string, at: number): number {
  let end = at + 1
  while (end < pattern.length && pattern.charAt(end) === pattern.charAt(at)) end++
  return end
}

function isLetter(character: string): boolean {
  return /^[A-Za-z]$/.test(character)
}

/** Fields of one or two digits, for one or two letters. */
const pairs: Readonly<Partial<Record<string, Field>>> = {
  d: 'dayOfMonth',
  h: 'clockHourOfHalfDay',
  H: 'hour',
  k: 'clockHour',
  K: 'hourOfHalfDay',
  m: 'minute',
  s: 'second',
}

/** @returns undefined when the letter, or so many of it, have no meaning */
function partOf(letter: string, count: number): Part | undefined {
  const pair = pairs[letter]
  if (pair !== undefined) return count <= 2 ? plainNumber(pair, count) : undefined
  switch (letter) {
    case 'G':
      return eraPart(count)
    case 'u':
      return yearPart('year', count)
    case 'y':
      return yearPart('yearOfEra', count)
    case 'Y':
      return yearPart('weekyear', count)
    case 'D':
      if (count > 3) return undefined
      return count === 1
        ? plainNumber('dayOfYear', 1)
        : numberPart('dayOfYear', [count, 3], 'notNegative')
    case 'Q':
    case 'q':
      return textPart('quarter', count, quarterNames)
    case 'M':
    case 'L':
      return textPart('month', count, monthWords)
    case 'F':
      return count === 1 ? plainNumber('dayOfWeekInMonth', 1) : undefined
    case 'E':
      return textPart('dayOfWeek', Math.max(count, 3), dayWords)
    case 'e':
      return count <= 2 ? localNumber('localDayOfWeek', count, count) : dayText(count)
    case 'c':
      if (count === 2) return undefined
      return count === 1 ? localNumber('localDayOfWeek', 1, 1) : dayText(count)
    case 'w':
      return count <= 2 ? localNumber('weekOfWeekyear', count, 2) : undefined
    case 'W':
      return count === 1 ? localNumber('weekOfMonth', 1, 1) : undefined
    case 'g':
      return wideNumber('modifiedJulianDay', count, 'normal')
    case 'a':
      return count === 1 ? words('halfDay', halfDayNames, 0) : undefined
    case 'S':
      return count <= 9 ? numberPart('nano', [count, count], 'notNegative', 'fraction') : undefined
    case 'n':
      return wideNumber('nano', count, 'notNegative')
    case 'A':
      return wideNumber('milliOfDay', count, 'notNegative')
    case 'N':
      return wideNumber('nanoOfDay', count, 'notNegative')
    default:
      return zonePart(letter, count)
  }
}

function plainNumber(field: Field, count: number): NumberPart {
  return count === 1
    ? numberPart(field, [1, digitsMax], 'normal')
    : numberPart(field, [count, count], 'notNegative')
}

function localNumber(field: Field, digitsLeast: number, digitsMost: number): NumberPart {
  return numberPart(field, [digitsLeast, digitsMost], 'notNegative')
}

function wideNumber(field: Field, count: number, sign: SignStyle): NumberPart | undefined {
  return count <= digitsMax ? numberPart(field, [count, digitsMax], sign) : undefined
}

function yearPart(field: Field, count: number): NumberPart | undefined {
  if (count === 2) return numberPart(field, [2, 2], 'notNegative', 'yearOfCentury')
  return wideNumber(field, count, count < 4 ? 'normal' : 'exceedsPad')
}

interface Words {
  readonly short: readonly string[]
  readonly long: readonly string[]
  /** Where one letter stands for several words, the last one counts. */
  readonly narrow: readonly string[]
}

const namesOf = (long: readonly string[]): Words => ({
  short: long.map(abbreviate),
  long,
  narrow: long.map((name) => name.charAt(0)),
})
const monthWords = namesOf(monthNames)
const dayWords = namesOf(dayNames)
const quarterNames: Words = {
  short: ['Q1', 'Q2', 'Q3', 'Q4'],
  long: ['1st quarter', '2nd quarter', '3rd quarter', '4th quarter'],
  narrow: ['1', '2', '3', '4'],
}

function textPart(field: Field, count: number, texts: Words): Part | undefined {
  if (count <= 2) return plainNumber(field, count)
  if (count === 3) return words(field, texts.short, 1)
  if (count === 4) return words(field, texts.long, 1)
  return count === 5 ? words(field, texts.narrow, 1) : undefined
}

function dayText(count: number): Part | undefined {
  return textPart('dayOfWeek', count, dayWords)
}

function eraPart(count: number): Part | undefined {
  if (count <= 3) return words('era', eraNames, 0)
  if (count === 4) return words('era', longEraNames, 0)
  return count === 5 ? words('era', ['B', 'A'], 0) : undefined
}

/** By the number of letters of X and x. */
const offsetFormats: readonly OffsetFormat[] = [
  { minutes: 'optional', seconds: 'absent', hasColons: false },
  { minutes: 'required', seconds: 'absent', hasColons: false },
  { minutes: 'required', seconds: 'absent', hasColons: true },
  { minutes: 'required', seconds: 'optional', hasColons: false },
  { minutes: 'required', seconds: 'optional', hasColons: true },
]

function zonePart(letter: string, count: number): Part | undefined {
  const offsetFormat = offsetFormats[count - 1]
  switch (letter) {
    case 'X':
      return offsetFormat === undefined ? undefined : parseOffset(offsetFormat, 'Z')
    case 'x':
      if (offsetFormat === undefined) return undefined
      return parseOffset(
        offsetFormat,
        count === 1 ? '+00' : offsetFormat.hasColons ? '+00:00' : '+0000',
      )
    case 'Z':
      return offsetPart(count)
    case 'O':
      return count === 1 || count === 4 ? parseGmtOffset(count === 4) : undefined
    case 'V':
      return count === 2 ? parseZone('id') : undefined
    case 'v':
      return count === 1 || count === 4 ? parseZone(count === 4 ? 'long' : 'short') : undefined
    case 'z':
      return count <= 4 ? parseZone(count === 4 ? 'long' : 'short') : undefined
    default:
      return undefined
  }
}

/** `Z` to `ZZZ` +0530, `ZZZZ` GMT+05:30, `ZZZZZ` +05:30 or Z. */
function offsetPart(count: number): Part | undefined {
  if (count === 4) return parseGmtOffset(true)
  const format = offsetFormats[count === 5 ? 4 : 1]
  if (count > 5 || format === undefined) return undefined
  return parseOffset(format, count === 5 ? 'Z' : '+0000')
}
