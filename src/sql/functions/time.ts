/**
 * Functions that write times as text and read them. Compiled patterns and zones are cached; the
 * bounds of the caches also bound the memory for patterns that messages bring.
 */
import { Decimal } from 'decimal.js'
import { spendDigits, toInt, toText } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import {
  ExactDecimal,
  exactDouble,
  decimalOf,
  numberFromDecimal,
  numberFromInteger,
} from '../values/numbers.ts'
import type { SqlNumber } from '../values/numbers.ts'
import { madeText } from '../values/text-limit.ts'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { BoundedMap } from '../../base/bounded-map.ts'
import { msPerDay } from '../time/calendar.ts'
import type { DayTime } from '../time/calendar.ts'
import { compileJavaPattern } from '../time/java-pattern.ts'
import type { ReadText } from '../time/java-pattern.ts'
import { resolveMoment } from '../time/resolve-moment.ts'
import { compileJodaPattern, patternLengthMax } from '../time/joda-pattern.ts'
import type { WriteMoment } from '../time/joda-pattern.ts'
import { findJodaZone } from '../time/zone-ids.ts'
import { dayTimeOf } from '../time/zones.ts'
import type { Zone } from '../time/zones.ts'
import type { Value } from '../values/values.ts'
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { SqlFunction } from './function.ts'

/** Compiled patterns and zones that are cached. */
const patternsMax = 256
const zonesMax = 64

/** The greatest milliseconds since 1970 in Java's long. */
const epochMsMax = new ExactDecimal('9223372036854775807')
const epochMsMin = new ExactDecimal('-9223372036854775808')

export const timeFunctions: readonly SqlFunction[] = [
  {
    name: 'parse_time',
    sinceVersion: '2016-03-23',
    arity: [2, 3],
    steps: 60,
    implementation: (values, { state }, dialect) => parseTime(values, dialect, state),
  },
  {
    name: 'time_to_epoch',
    sinceVersion: '2016-03-23',
    arity: [2, 2],
    steps: 60,
    implementation: ([text, pattern], { state }, dialect) =>
      timeToEpoch(text, pattern, dialect, state),
  },
]

const writers = createBoundedMap<string, WriteMoment | undefined>(patternsMax)
const readers = createBoundedMap<string, ReadText | undefined>(patternsMax)
const zones = createBoundedMap<string, Zone | undefined>(zonesMax)

/**
 * The steps for making a zone, for finding the changes of one year, and per pattern character.
 */
const zoneSteps = 3_000
const yearSteps = 5_000
const patternSteps = { compiling: 100, running: 2 }

/** UTF-16 units of the longest zone id. */
const zoneIdLengthMax = 100

/** `parse_time(pattern, milliseconds[, zone])`: writes a moment in the local time of a zone. */
function parseTime(values: readonly Value[], dialect: Dialect, work: Work): Value {
  const [pattern, ms, zoneId] = values
  spendDigits(work, ms)
  const patternText = toText(pattern, dialect, work)
  const moment = momentOf(toInt(ms))
  const zoneText = values.length < 3 ? 'UTC' : toText(zoneId, dialect, work)
  if (patternText === undefined || moment === undefined || zoneText === undefined) return undefined
  const write = compiled(writers, patternText, compileJodaPattern, work)
  if (write === undefined || zoneText.length > zoneIdLengthMax) return undefined
  const zone = zones.getOrMake(zoneText, (id) => {
    spend(work, zoneSteps)
    return findJodaZone(id)
  })
  if (zone === undefined) return undefined
  const before = zone.yearsRead
  const text = write(moment, zone)
  spend(work, (zone.yearsRead - before) * yearSteps)
  return madeText(text, work)
}

/** `time_to_epoch(text, pattern)`: reads a moment as milliseconds since 1970. */
function timeToEpoch(text: Value, pattern: Value, dialect: Dialect, work: Work): Value {
  const momentText = toText(text, dialect, work)
  const patternText = toText(pattern, dialect, work)
  if (momentText === undefined || patternText === undefined) return undefined
  const state = compiled(readers, patternText, compileJavaPattern, work)?.(momentText)
  if (state === undefined) return undefined
  const before = state.zone?.yearsRead
  if (before === 0) spend(work, zoneSteps)
  const moment = resolveMoment(state)
  spend(work, ((state.zone?.yearsRead ?? 0) - (before ?? 0)) * yearSteps)
  return moment && epochMsOf(moment)
}

/** Texts that are too long for a pattern are not looked up, because the caches store their keys. */
function compiled<Pattern>(
  cache: BoundedMap<string, Pattern | undefined>,
  text: string,
  compile: (text: string) => Pattern | undefined,
  work: Work,
): Pattern | undefined {
  if (text.length > patternLengthMax) return undefined
  spend(work, text.length * patternSteps.running)
  return cache.getOrMake(text, (key) => {
    spend(work, key.length * patternSteps.compiling)
    return compile(key)
  })
}

function momentOf(number: SqlNumber | undefined): DayTime | undefined {
  if (number === undefined) return undefined
  const double = exactDouble(number)
  if (Math.abs(double) <= Number.MAX_SAFE_INTEGER) return dayTimeOf(double)
  const ms = decimalOf(number)
  if (ms.lessThan(epochMsMin) || ms.greaterThan(epochMsMax)) return undefined
  const epochDay = ms.dividedBy(msPerDay).toDecimalPlaces(0, Decimal.ROUND_FLOOR)
  return {
    epochDay: epochDay.toNumber(),
    msOfDay: ms.minus(epochDay.times(msPerDay)).toNumber(),
  }
}

/** The milliseconds; Undefined beyond Java's long. */
function epochMsOf({ epochDay, msOfDay }: DayTime): Value {
  const ms = epochDay * msPerDay + msOfDay
  if (Number.isSafeInteger(ms)) return numberFromInteger(ms)
  const exact = new ExactDecimal(epochDay).times(msPerDay).plus(msOfDay)
  const isLong = !exact.lessThan(epochMsMin) && !exact.greaterThan(epochMsMax)
  return isLong ? numberFromDecimal(exact, 'integer') : undefined
}
