/**
 * Zones: fixed offsets, and those of the tz database through `Intl`, whose data come with Node.
 *
 * `Intl` tells only the offset at a moment, to the second. On the first use of a calendar year, its
 * changes of offset are found by looking every five days (up to 2100 no two changes are closer) and
 * by bisection, and cached. The calendar and the present rules repeat every 400 years: later
 * moments are looked up in the cycle that begins in 2100.
 *
 * `Intl` does not tell daylight time either. An offset counts as daylight time when the offsets
 * before and after it are both smaller and it held for less than two years. Joda-Time agrees,
 * except for some months in which a zone went from daylight time to a new standard time.
 */
import { createBoundedMap } from '../../base/bounded-map.ts'
import { addMs, civilDateOf, daysPerCycle, epochDayOf, isLeapYear, msPerDay } from './calendar.ts'
import type { DayTime } from './calendar.ts'

export interface Zone {
  readonly id: string
  /**
   * The number of years whose changes were looked up so far: each takes some hundred microseconds.
   */
  readonly yearsRead: number
  /** The offset from UTC in milliseconds. */
  offsetMsAt(moment: DayTime): number
  isDaylightAt(moment: DayTime): boolean
  /**
   * The moment at local time `wall`. Of two moments it is the earlier one. A skipped local time is
   * read with the offset before the change, which gives a moment later by the skipped time.
   */
  momentOf(wall: DayTime): DayTime
}

/** Zones and years per zone that are cached: as many as there are data for. */
const zonesMax = 64
const yearsMax = 800
/** Less than the shortest time between two changes. */
const stepSeconds = 5 * 86_400
/** An offset that holds longer is standard time, such as Britain's from 1968 to 1971. */
const daylightSecondsMax = 730 * 86_400
const secondsPerDay = 86_400
/** Before this year there is only local mean time. Like all history it precedes the cycle. */
const firstYear = 1800
const firstDay = epochDayOf(firstYear, 1, 1)
const cycleFirstDay = epochDayOf(2100, 1, 1)

/** A span with one offset. It lasts until the next span of its year, or beyond the year. */
interface Span {
  readonly start: number
  readonly offset: number
}

export function createFixedZone(id: string, offsetMs: number): Zone {
  return {
    id,
    yearsRead: 0,
    offsetMsAt: () => offsetMs,
    isDaylightAt: () => false,
    momentOf: (wall) => addMs(wall, -offsetMs),
  }
}

const regionZones = createBoundedMap<string, Zone | undefined>(zonesMax)

/** @returns undefined when `Intl` has no such zone; it takes ids in any case */
export function findRegionZone(id: string): Zone | undefined {
  return regionZones.getOrMake(id, createRegionZone)
}

function createRegionZone(id: string): Zone | undefined {
  const offsetAt = createOffsetReader(id)
  if (offsetAt === undefined) return undefined
  const years = createBoundedMap<number, readonly Span[]>(yearsMax)
  let yearsRead = 0
  const readYear = (year: number) => {
    yearsRead += 1
    return findSpans(year, offsetAt)
  }
  const spansOf = (year: number) => years.getOrMake(year, readYear)
  return {
    id,
    get yearsRead() {
      return yearsRead
    },
    offsetMsAt: (moment) =>
      offsetIn(spansOf, secondsOf(withinData(moment.epochDay), moment)) * 1000,
    isDaylightAt: (moment) => isDaylight(spansOf, secondsOf(withinData(moment.epochDay), moment)),
    momentOf(wall) {
      const day = withinData(wall.epochDay)
      return addMs(wall, -offsetOfWall(spansOf, secondsOf(day, wall)) * 1000)
    },
  }
}

type SpansOf = (year: number) => readonly Span[]

/** The equivalent day in the range for which there are data. */
function withinData(epochDay: number): number {
  if (epochDay < firstDay) return firstDay
  if (epochDay < cycleFirstDay) return epochDay
  return cycleFirstDay + ((epochDay - cycleFirstDay) % daysPerCycle)
}

function secondsOf(epochDay: number, { msOfDay }: DayTime): number {
  return epochDay * secondsPerDay + Math.floor(msOfDay / 1000)
}

function yearOf(seconds: number): number {
  return civilDateOf(Math.floor(seconds / secondsPerDay)).year
}

const offsetText = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/

/** The offset in seconds at a moment in seconds since 1970. */
function createOffsetReader(id: string): ((seconds: number) => number) | undefined {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: id, timeZoneName: 'longOffset' })
  } catch {
    return undefined // no such zone
  }
  return (seconds) => {
    const [, sign, hours, minutes, rest] = offsetText.exec(format.format(seconds * 1000)) ?? []
    const offset = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(rest ?? 0)
    return sign === '-' ? -offset : offset
  }
}

/** The spans of a year in UTC: the first one starts with the year. */
function findSpans(year: number, offsetAt: (seconds: number) => number): readonly Span[] {
  let known = epochDayOf(year, 1, 1) * secondsPerDay
  const end = known + (isLeapYear(year) ? 366 : 365) * secondsPerDay
  let offset = offsetAt(known)
  const spans: Span[] = [{ start: known, offset }]
  while (known < end) {
    const next = Math.min(known + stepSeconds, end)
    const nextOffset = offsetAt(next)
    if (nextOffset !== offset) {
      const start = findChange(known, next, offset, offsetAt)
      if (start < end) spans.push({ start, offset: nextOffset })
    }
    known = next
    offset = nextOffset
  }
  return spans
}

/** The first second after `before`, up to `after`, with another offset than at `before`. */
function findChange(
  before: number,
  after: number,
  offset: number,
  offsetAt: (seconds: number) => number,
): number {
  let [low, high] = [before, after]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(middle) === offset) low = middle
    else high = middle
  }
  return high
}

function offsetIn(spansOf: SpansOf, seconds: number): number {
  const spans = spansOf(yearOf(seconds))
  let offset = 0
  for (const span of spans) {
    if (span.start > seconds && span !== spans[0]) break
    offset = span.offset
  }
  return offset
}

/**
 * The offset for a local time: the one before the change if the time falls into a change, otherwise
 * the only one. A change is at most a day, so two days around the time are enough.
 */
function offsetOfWall(spansOf: SpansOf, wallSeconds: number): number {
  const from = wallSeconds - 2 * secondsPerDay
  let offset = offsetIn(spansOf, from)
  for (const span of spansOfYears(spansOf, yearOf(from), yearOf(wallSeconds + 2 * secondsPerDay))) {
    if (span.start <= from || span.offset === offset) continue
    if (wallSeconds < span.start + Math.max(offset, span.offset)) return offset
    offset = span.offset
  }
  return offset
}

function spansOfYears(spansOf: SpansOf, first: number, last: number): readonly Span[] {
  return first === last ? spansOf(first) : [...spansOf(first), ...spansOf(last)]
}

function isDaylight(spansOf: SpansOf, seconds: number): boolean {
  const offset = offsetIn(spansOf, seconds)
  const year = yearOf(seconds)
  const yearsAround = Math.ceil(daylightSecondsMax / secondsPerDay / 365)
  let before: Span | undefined
  let start = Number.NEGATIVE_INFINITY
  for (let at = Math.max(year - yearsAround, firstYear); at <= year; at++) {
    for (const span of spansOf(at)) {
      if (span.start > seconds) break
      if (span.offset !== offset) before = span
      else if (before !== undefined && start <= before.start) start = span.start
    }
  }
  if (before === undefined || before.offset > offset) return false
  for (let at = year; at <= year + yearsAround; at++) {
    const after = spansOf(at).find((span) => span.start > seconds && span.offset !== offset)
    if (after === undefined) continue
    return after.offset < offset && after.start - start < daylightSecondsMax
  }
  return false
}

/** The day and time of milliseconds since 1970 that a double holds exactly. */
export function dayTimeOf(epochMs: number): DayTime {
  const epochDay = Math.floor(epochMs / msPerDay)
  return { epochDay, msOfDay: epochMs - epochDay * msPerDay }
}
