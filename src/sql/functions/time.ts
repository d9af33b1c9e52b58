/**
 * Times as text, and back. Patterns and zones are compiled once and kept: what a message brings as
 * a pattern costs no more than the bound of the caches.
 */
import { Decimal } from 'decimal.js'
import { toInt, toText } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import {
  ExactDecimal,
  exactDouble,
  decimalOf,
  numberFromDecimal,
  numberFromInteger,
} from '../values/numbers.ts'
import type { SqlNumber } from '../values/numbers.ts'
import { createBoundedCache } from '../../base/bounded-cache.ts'
import { msPerDay } from '../time/calendar.ts'
import type { DayTime } from '../time/calendar.ts'
import { compileJavaPattern } from '../time/java-pattern.ts'
import type { ReadText } from '../time/java-pattern.ts'
import { resolveMoment } from '../time/java-resolver.ts'
import { compileJodaPattern } from '../time/joda-pattern.ts'
import type { WriteMoment } from '../time/joda-pattern.ts'
import { findJodaZone } from '../time/zone-ids.ts'
import { dayTimeOf } from '../time/zones.ts'
import type { Zone } from '../time/zones.ts'
import type { Value } from '../values/values.ts'
import type { SqlFunction } from './function.ts'

/** Patterns, and zones by id, that are kept compiled. */
const patternsMax = 256
const zonesMax = 64

/** Milliseconds since 1970 that Java's long holds. */
const epochMsMax = new ExactDecimal('9223372036854775807')
const epochMsMin = new ExactDecimal('-9223372036854775808')

export const timeFunctions: readonly SqlFunction[] = [
  {
    name: 'parse_time',
    sinceVersion: '2016-03-23',
    arity: [2, 3],
    implementation: (values, _, dialect) => parseTime(values, dialect),
  },
  {
    name: 'time_to_epoch',
    sinceVersion: '2016-03-23',
    arity: [2, 2],
    implementation: ([text, pattern], _, dialect) => timeToEpoch(text, pattern, dialect),
  },
]

const writers = createBoundedCache<string, WriteMoment | undefined>(patternsMax)
const readers = createBoundedCache<string, ReadText | undefined>(patternsMax)
const zones = createBoundedCache<string, Zone | undefined>(zonesMax)

/** `parse_time(pattern, milliseconds[, zone])`: a moment as the clocks of a zone show it. */
function parseTime(values: readonly Value[], dialect: Dialect): Value {
  const [pattern, ms, zoneId] = values
  const patternText = toText(pattern, dialect)
  const moment = momentOf(toInt(ms))
  const zoneText = values.length < 3 ? 'UTC' : toText(zoneId, dialect)
  if (patternText === undefined || moment === undefined || zoneText === undefined) return undefined
  const zone = zones.get(zoneText, findJodaZone)
  return zone && writers.get(patternText, compileJodaPattern)?.(moment, zone)
}

/** `time_to_epoch(text, pattern)`: the milliseconds since 1970 of a moment in a text. */
function timeToEpoch(text: Value, pattern: Value, dialect: Dialect): Value {
  const momentText = toText(text, dialect)
  const patternText = toText(pattern, dialect)
  if (momentText === undefined || patternText === undefined) return undefined
  const state = readers.get(patternText, compileJavaPattern)?.(momentText)
  const moment = state && resolveMoment(state)
  return moment && epochMsOf(moment)
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

/** Undefined beyond Java's long. */
function epochMsOf({ epochDay, msOfDay }: DayTime): Value {
  const ms = epochDay * msPerDay + msOfDay
  if (Number.isSafeInteger(ms)) return numberFromInteger(ms)
  const exact = new ExactDecimal(epochDay).times(msPerDay).plus(msOfDay)
  const isLong = !exact.lessThan(epochMsMin) && !exact.greaterThan(epochMsMax)
  return isLong ? numberFromDecimal(exact, 'integer') : undefined
}
