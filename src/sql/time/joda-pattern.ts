/**
 * Patterns of Joda-Time's DateTimeFormat (2.10), which write a moment as English text.
 *
 * A run of one letter is a field. Other characters and text in single quotes are copied; two quotes
 * stand for one quote. A letter without a meaning makes the pattern invalid.
 */
import { addMs, civilDateOf, dayOfWeekOf, dayOfYearOf, isoWeekOf } from './calendar.ts'
import type { CivilDate, DayTime } from './calendar.ts'
import { abbreviate, dayNames, eraNames, halfDayNames, monthNames } from './english.ts'
import { offsetId, zoneNamesOf } from './zone-ids.ts'
import type { Zone } from './zones.ts'

/** Writes a moment in the local time of a zone. */
export type WriteMoment = (moment: DayTime, zone: Zone) => string

/** The longest pattern in UTF-16 units. */
export const patternLengthMax = 1000

/** The values that the fields of a pattern print. */
interface Reading {
  readonly moment: DayTime
  readonly zone: Zone
  readonly offsetMs: number
  readonly epochDay: number
  readonly msOfDay: number
  readonly date: CivilDate
}

type WriteField = (reading: Reading) => string

/**
 * @returns undefined when the pattern is invalid: without a part, too long, or with a letter of no
 *   meaning
 */
export function compileJodaPattern(pattern: string): WriteMoment | undefined {
  if (pattern === '' || pattern.length > patternLengthMax) return undefined
  const parts: WriteField[] = []
  let at = 0
  while (at < pattern.length) {
    const letter = pattern.charAt(at)
    if (isLetter(letter)) {
      let end = at + 1
      while (pattern.charAt(end) === letter) end++
      const field = fieldOf(letter, end - at)
      if (field === undefined) return undefined
      parts.push(field)
      at = end
    } else {
      const { text, end } = readText(pattern, at)
      if (text !== '') parts.push(() => text)
      at = end
    }
  }
  if (parts.length === 0) return undefined
  return (moment, zone) => {
    const offsetMs = zone.offsetMsAt(moment)
    const { epochDay, msOfDay } = addMs(moment, offsetMs)
    const date = civilDateOf(epochDay)
    const reading = { moment, zone, offsetMs, epochDay, msOfDay, date }
    let written = ''
    for (const part of parts) written += part(reading)
    return written
  }
}

function isLetter(character: string): boolean {
  return /^[A-Za-z]$/.test(character)
}

/**
 * Reads literal text up to the next letter outside of quotes. An unclosed quote reaches to the end.
 */
function readText(pattern: string, start: number): { text: string; end: number } {
  let text = ''
  let isQuoted = false
  let at = start
  while (at < pattern.length) {
    const character = pattern.charAt(at)
    if (character === "'") {
      if (pattern.charAt(at + 1) === "'") {
        text += "'"
        at++
      } else {
        isQuoted = !isQuoted
      }
    } else if (!isQuoted && isLetter(character)) {
      break
    } else {
      text += character
    }
    at++
  }
  return { text, end: at }
}

/** Year 0 is 1 BC. */
const yearOfEra = ({ year }: CivilDate) => (year > 0 ? year : 1 - year)
const msPerHour = 3_600_000
const hourOf = ({ msOfDay }: Reading) => Math.floor(msOfDay / msPerHour)
/** Prints 0 as 12 or 24. */
const clock = (hour: number, hours: number) => (hour % hours === 0 ? hours : hour % hours)

function fieldOf(letter: string, count: number): WriteField | undefined {
  const number = (value: (reading: Reading) => number): WriteField => {
    return (reading) => padded(value(reading), count)
  }
  const year = (value: (reading: Reading) => number): WriteField => {
    return count === 2 ? (reading) => padded(Math.abs(value(reading)) % 100, 2) : number(value)
  }
  const text = (names: readonly string[], index: (reading: Reading) => number): WriteField => {
    const written = count >= 4 ? names : names.map(abbreviate)
    return (reading) => written[index(reading)] ?? ''
  }
  switch (letter) {
    case 'G':
      return ({ date }) => eraNames[date.year > 0 ? 1 : 0]
    case 'C':
      return number(({ date }) => Math.floor(Math.abs(date.year) / 100))
    case 'Y':
      return count === 2 ? year(({ date }) => date.year) : number(({ date }) => yearOfEra(date))
    case 'y':
      return year(({ date }) => date.year)
    case 'x':
      return year(({ epochDay }) => isoWeekOf(epochDay).weekyear)
    case 'w':
      return number(({ epochDay }) => isoWeekOf(epochDay).week)
    case 'e':
      return number(({ epochDay }) => dayOfWeekOf(epochDay))
    case 'E':
      return text(dayNames, ({ epochDay }) => dayOfWeekOf(epochDay) - 1)
    case 'D':
      return number(({ epochDay, date }) => dayOfYearOf(epochDay, date.year))
    case 'M':
      if (count >= 3) return text(monthNames, ({ date }) => date.month - 1)
      return number(({ date }) => date.month)
    case 'd':
      return number(({ date }) => date.day)
    case 'a':
      return (reading) => halfDayNames[hourOf(reading) < 12 ? 0 : 1]
    case 'K':
      return number((reading) => hourOf(reading) % 12)
    case 'h':
      return number((reading) => clock(hourOf(reading), 12))
    case 'H':
      return number(hourOf)
    case 'k':
      return number((reading) => clock(hourOf(reading), 24))
    case 'm':
      return number(({ msOfDay }) => Math.floor(msOfDay / 60_000) % 60)
    case 's':
      return number(({ msOfDay }) => Math.floor(msOfDay / 1000) % 60)
    case 'S':
      return ({ msOfDay }) => fraction(msOfDay % 1000, count)
    case 'z':
      return (reading) => zoneName(reading, count >= 4)
    case 'Z':
      return zoneOffset(count)
    default:
      return undefined
  }
}

/** Pads with zeros to a number of digits; the sign does not count. */
function padded(value: number, digits: number): string {
  return value < 0 ? `-${padded(-value, digits)}` : String(value).padStart(digits, '0')
}

/** Joda-Time computes with longs: a fraction has at most these digits, unless it is zero. */
const fractionDigitsMax = 15

function fraction(ms: number, digits: number): string {
  if (ms === 0) return '0'.repeat(digits)
  const shown = Math.min(digits, fractionDigitsMax)
  return String(ms).padStart(3, '0').padEnd(shown, '0').slice(0, shown)
}

/** `Z` +0530, `ZZ` +05:30, `ZZZ` the id. Seconds are left out. */
function zoneOffset(count: number): WriteField {
  if (count >= 3) return ({ zone }) => zone.id
  return ({ offsetMs }) => {
    const text = `${offsetMs < 0 ? '-' : '+'}${offsetId(Math.abs(offsetMs)).slice(1, 6)}`
    return count === 1 ? text.replace(':', '') : text
  }
}

/** The name of the zone at the moment, or the offset when it has no name. */
function zoneName({ moment, zone, offsetMs }: Reading, isLong: boolean): string {
  const names = zoneNamesOf(zone.id)
  if (names === undefined) return offsetId(offsetMs)
  if (zone.isDaylightAt(moment)) return isLong ? names.longDaylight : names.shortDaylight
  return isLong ? names.longStandard : names.shortStandard
}
