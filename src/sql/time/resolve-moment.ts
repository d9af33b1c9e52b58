/**
 * Resolves the fields of a text to a moment, like java.time with its SMART resolver: fields are
 * combined to a date and a time, the remaining fields must agree with them, and February 31 means
 * the last day of February. A used field is removed.
 *
 * A date alone means its start. A time, a year or a month alone is not a moment. Hours of a half
 * day without AM or PM are checked and otherwise ignored. The zone is UTC unless the text has one;
 * an offset takes precedence over a zone.
 */
import {
  civilDateOf,
  dayOfWeekOf,
  dayOfYearOf,
  epochDayOf,
  lengthOfMonth,
  lengthOfYear,
} from './calendar.ts'
import type { DayTime } from './calendar.ts'
import type { Field, Fields, ParseState } from './java-parsing.ts'
import { resolveTime } from './resolve-time.ts'
import {
  dayOfLocalWeek,
  isoDayOfWeek,
  localDayOfWeekOf,
  localWeekOf,
  weeksOfYear,
} from './java-weeks.ts'
import { offsetSecondsMax } from './java-zone-texts.ts'
import { createFixedZone } from './zones.ts'

/** The range of years in Java. */
const yearMax = 999_999_999
/** Modified Julian day 0 is 1858-11-17. */
const modifiedJulianEpochDay = -40_587

/** @returns undefined when the fields contradict each other or do not make a date */
export function resolveMoment({ fields: parsed, zone }: ParseState): DayTime | undefined {
  const fields: Fields = new Map(parsed)
  const offsetSeconds = fields.get('offsetSeconds')
  if (offsetSeconds !== undefined && Math.abs(offsetSeconds) > offsetSecondsMax) return undefined
  fields.delete('offsetSeconds')
  const date = resolveDate(fields)
  if (date === undefined) return undefined
  const time = resolveTime(fields)
  if (time === undefined || !agrees(fields, date)) return undefined
  const wall = { epochDay: date + time.excessDays, msOfDay: time.msOfDay }
  if (Math.abs(civilDateOf(wall.epochDay).year) > yearMax) return undefined
  if (offsetSeconds !== undefined) {
    return createFixedZone('', offsetSeconds * 1000).momentOf(wall)
  }
  return zone === undefined ? wall : zone.momentOf(wall)
}

function take(fields: Fields, field: Field): number | undefined {
  const value = fields.get(field)
  fields.delete(field)
  return value
}

function isWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most
}

/** The day of the fields; undefined when they describe none or contradict each other. */
function resolveDate(fields: Fields): number | undefined {
  if (!resolveYear(fields)) return undefined
  const days: number[] = []
  for (const resolve of [resolveYearFields, resolveWeekFields, resolveDayNumber]) {
    const day = resolve(fields)
    if (day === 'invalid') return undefined
    if (day !== undefined) days.push(day)
  }
  const [first] = days
  return days.every((day) => day === first) ? first : undefined
}

type DayResult = number | 'invalid' | undefined

/**
 * Turns a year of an era into a year. Without an era the field `year` decides, or else it is AD.
 */
function resolveYear(fields: Fields): boolean {
  const yearOfEra = take(fields, 'yearOfEra')
  if (yearOfEra === undefined) return true
  if (!isWithin(yearOfEra, 1, yearMax + 1)) return false
  const era = take(fields, 'era')
  const known = fields.get('year')
  const isBefore = era === undefined ? known !== undefined && known <= 0 : era === 0
  const year = isBefore ? 1 - yearOfEra : yearOfEra
  if (known !== undefined && known !== year) return false
  fields.set('year', year)
  return true
}

/** The day from a year with month and day, or with the day of the year. */
function resolveYearFields(fields: Fields): DayResult {
  const year = fields.get('year')
  if (year === undefined) return undefined
  const month = fields.get('month')
  const dayOfMonth = fields.get('dayOfMonth')
  if (month !== undefined && dayOfMonth !== undefined) {
    for (const field of ['year', 'month', 'dayOfMonth'] as const) fields.delete(field)
    if (!isYear(year) || !isWithin(month, 1, 12) || !isWithin(dayOfMonth, 1, 31)) return 'invalid'
    return epochDayOf(year, month, Math.min(dayOfMonth, lengthOfMonth(year, month)))
  }
  const dayOfYear = fields.get('dayOfYear')
  if (dayOfYear === undefined) return undefined
  for (const field of ['year', 'dayOfYear'] as const) fields.delete(field)
  if (!isYear(year) || !isWithin(dayOfYear, 1, lengthOfYear(year))) return 'invalid'
  return epochDayOf(year, 1, dayOfYear)
}

function isYear(year: number): boolean {
  return isWithin(year, -yearMax, yearMax)
}

/** The day from a day of the week with a week of a month, or of a week-based year. */
function resolveWeekFields(fields: Fields): DayResult {
  const localDay = take(fields, 'localDayOfWeek')
  if (localDay !== undefined) {
    if (!isWithin(localDay, 1, 7)) return 'invalid'
    fields.set('dayOfWeek', isoDayOfWeek(localDay))
  }
  const dayOfWeek = fields.get('dayOfWeek')
  if (dayOfWeek === undefined) return undefined
  if (!isWithin(dayOfWeek, 1, 7)) return hasWeek(fields) ? 'invalid' : undefined
  return fields.has('year')
    ? resolveWeekOfMonth(fields, dayOfWeek)
    : resolveWeekOfWeekyear(fields, dayOfWeek)
}

function hasWeek(fields: Fields): boolean {
  return fields.has('weekOfMonth') || fields.has('weekOfWeekyear') || fields.has('weekyear')
}

function resolveWeekOfMonth(fields: Fields, dayOfWeek: number): DayResult {
  const year = fields.get('year')
  const month = fields.get('month')
  const week = fields.get('weekOfMonth')
  if (year === undefined || month === undefined || week === undefined) return undefined
  for (const field of ['year', 'month', 'weekOfMonth', 'dayOfWeek'] as const) fields.delete(field)
  if (!isYear(year) || !isWithin(month, 1, 12) || !isWithin(week, 0, 6)) return 'invalid'
  return dayOfLocalWeek(epochDayOf(year, month, 1), week, dayOfWeek)
}

function resolveWeekOfWeekyear(fields: Fields, dayOfWeek: number): DayResult {
  const weekyear = fields.get('weekyear')
  const week = fields.get('weekOfWeekyear')
  if (weekyear === undefined || week === undefined) return undefined
  for (const field of ['weekyear', 'weekOfWeekyear', 'dayOfWeek'] as const) fields.delete(field)
  if (!isYear(weekyear) || !isWithin(week, 1, 53)) return 'invalid'
  const weekThere = Math.min(week, weeksOfYear(weekyear))
  return dayOfLocalWeek(epochDayOf(weekyear, 1, 1), weekThere, dayOfWeek)
}

function resolveDayNumber(fields: Fields): DayResult {
  const day = take(fields, 'modifiedJulianDay')
  if (day === undefined) return undefined
  const epochDay = day + modifiedJulianEpochDay
  return isYear(civilDateOf(epochDay).year) ? epochDay : 'invalid'
}

/** Whether the remaining fields agree with the date. */
function agrees(fields: Fields, epochDay: number): boolean {
  if (fields.size === 0) return true
  const { year, month, day } = civilDateOf(epochDay)
  const truths: readonly (readonly [Field, () => number])[] = [
    ['era', () => (year > 0 ? 1 : 0)],
    ['year', () => year],
    ['quarter', () => Math.floor((month + 2) / 3)],
    ['month', () => month],
    ['dayOfMonth', () => day],
    ['dayOfYear', () => dayOfYearOf(epochDay, year)],
    ['dayOfWeekInMonth', () => ((day - 1) % 7) + 1],
    ['dayOfWeek', () => dayOfWeekOf(epochDay)],
    ['localDayOfWeek', () => localDayOfWeekOf(epochDay)],
    ['weekyear', () => localWeekOf(epochDay).weekyear],
    ['weekOfWeekyear', () => localWeekOf(epochDay).weekOfWeekyear],
    ['weekOfMonth', () => localWeekOf(epochDay).weekOfMonth],
  ]
  return truths.every(([field, truth]) => {
    const value = fields.get(field)
    return value === undefined || value === truth()
  })
}
