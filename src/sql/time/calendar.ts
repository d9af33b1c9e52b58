/**
 * The ISO calendar: Gregorian for all times, also before 1582, with a year 0. Days are counted from
 * 1970-01-01. The results are exact for a thousand million years before and after.
 */
export interface CivilDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  /** 1 to 31. */
  readonly day: number
}

/** A moment, or a local time. */
export interface DayTime {
  /** Whole days since 1970-01-01. */
  readonly epochDay: number
  /** 0 to 86,399,999. */
  readonly msOfDay: number
}

export const msPerDay = 86_400_000
/** The calendar repeats after 400 years, including the days of the week. */
export const daysPerCycle = 146_097
/** Days from 0000-03-01 to 1970-01-01: years that begin in March end with the leap day. */
const daysToEpoch = 719_468

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

export function lengthOfYear(year: number): number {
  return isLeapYear(year) ? 366 : 365
}

export function lengthOfMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** The remainder that is never negative. */
function modulo(dividend: number, divisor: number): number {
  const remainder = dividend % divisor
  return remainder < 0 ? remainder + divisor : remainder + 0
}

export function epochDayOf(year: number, month: number, day: number): number {
  const yearFromMarch = month > 2 ? year : year - 1
  const cycle = Math.floor(yearFromMarch / 400)
  const yearOfCycle = yearFromMarch - cycle * 400
  const monthFromMarch = (month + 9) % 12
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1
  const dayOfCycle =
    yearOfCycle * 365 + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100) + dayOfYear
  return cycle * daysPerCycle + dayOfCycle - daysToEpoch
}

export function civilDateOf(epochDay: number): CivilDate {
  const days = epochDay + daysToEpoch
  const cycle = Math.floor(days / daysPerCycle)
  const dayOfCycle = days - cycle * daysPerCycle
  const yearOfCycle = Math.floor(
    (dayOfCycle -
      Math.floor(dayOfCycle / 1460) +
      Math.floor(dayOfCycle / 36_524) -
      Math.floor(dayOfCycle / 146_096)) /
      365,
  )
  const dayOfYear =
    dayOfCycle - (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return {
    year: yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  }
}

/** 1 for Monday to 7 for Sunday. */
export function dayOfWeekOf(epochDay: number): number {
  return modulo(epochDay + 3, 7) + 1
}

/** From 1. */
export function dayOfYearOf(epochDay: number, year: number): number {
  return epochDay - epochDayOf(year, 1, 1) + 1
}

/** The ISO week, which belongs to the year of its Thursday. */
export function isoWeekOf(epochDay: number): { readonly weekyear: number; readonly week: number } {
  const thursday = epochDay + 4 - dayOfWeekOf(epochDay)
  const weekyear = civilDateOf(thursday).year
  return { weekyear, week: Math.floor((dayOfYearOf(thursday, weekyear) - 1) / 7) + 1 }
}

/** The local time moved by some milliseconds, at most a few days. */
export function addMs({ epochDay, msOfDay }: DayTime, ms: number): DayTime {
  const sum = msOfDay + ms
  const days = Math.floor(sum / msPerDay)
  return days === 0
    ? { epochDay, msOfDay: sum }
    : { epochDay: epochDay + days, msOfDay: sum - days * msPerDay }
}
