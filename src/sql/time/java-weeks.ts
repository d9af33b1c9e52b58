/** Weeks as in the United States: a week begins on Sunday, and week 1 contains January 1. */
import { civilDateOf, dayOfWeekOf, dayOfYearOf, epochDayOf, lengthOfYear } from './calendar.ts'

interface LocalWeek {
  readonly weekyear: number
  readonly weekOfWeekyear: number
  readonly weekOfMonth: number
}

/** 1 for Sunday to 7 for Saturday. */
export function localDayOfWeekOf(epochDay: number): number {
  return (dayOfWeekOf(epochDay) % 7) + 1
}

/** Converts 1 for Sunday to 7 for Saturday into 1 for Monday to 7 for Sunday. */
export function isoDayOfWeek(localDayOfWeek: number): number {
  return ((localDayOfWeek + 5) % 7) + 1
}

/** The number of weeks that belong to a year; later days belong to week 1 of the next year. */
export function weeksOfYear(year: number): number {
  const daysBefore = localDayOfWeekOf(epochDayOf(year, 1, 1)) - 1
  return Math.floor((daysBefore + lengthOfYear(year)) / 7)
}

export function localWeekOf(epochDay: number): LocalWeek {
  const { year, day } = civilDateOf(epochDay)
  const weekOf = (dayFromFirst: number) => {
    const firstDayOfWeek = localDayOfWeekOf(epochDay - dayFromFirst + 1)
    return Math.floor((firstDayOfWeek - 1 + dayFromFirst - 1) / 7) + 1
  }
  const week = weekOf(dayOfYearOf(epochDay, year))
  const isOfNextYear = week > weeksOfYear(year)
  return {
    weekyear: isOfNextYear ? year + 1 : year,
    weekOfWeekyear: isOfNextYear ? 1 : week,
    weekOfMonth: weekOf(day),
  }
}

/** The day in a week, counted from the week with the first day of a month or year. */
export function dayOfLocalWeek(firstDay: number, week: number, dayOfWeek: number): number {
  const localDay = (dayOfWeek % 7) + 1
  return firstDay - (localDayOfWeekOf(firstDay) - 1) + (week - 1) * 7 + (localDay - 1)
}
