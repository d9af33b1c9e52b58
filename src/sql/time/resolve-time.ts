/** Resolves fields to a time of day, like java.time. */
import type { Field, Fields } from './java-parsing.ts'

interface ResolvedTime {
  readonly msOfDay: number
  /** 1 for 24:00, which is the start of the next day. */
  readonly excessDays: number
}

const startOfDay: ResolvedTime = { msOfDay: 0, excessDays: 0 }

const ranges = {
  halfDay: [0, 1],
  hour: [0, 23],
  clockHour: [0, 24],
  hourOfHalfDay: [0, 11],
  clockHourOfHalfDay: [0, 12],
  minute: [0, 59],
  second: [0, 59],
  nano: [0, 999_999_999],
  milliOfDay: [0, 86_399_999],
  nanoOfDay: [0, 86_399_999_999_999],
} as const satisfies Partial<Record<Field, readonly [number, number]>>

type TimeField = keyof typeof ranges
const timeFields = Object.keys(ranges) as readonly TimeField[]

/**
 * Takes the fields of a time out of the state. Fraction, seconds and minutes may be missing, in
 * this order.
 *
 * @returns the start of the day when the fields make no time; undefined when they contradict each
 *   other or one is out of its range
 */
export function resolveTime(fields: Fields): ResolvedTime | undefined {
  if (!simplify(fields)) return undefined
  const hour = fields.get('hour')
  const minute = fields.get('minute')
  const second = fields.get('second')
  const nano = fields.get('nano')
  const hasHole =
    hour === undefined ||
    (minute === undefined && (second !== undefined || nano !== undefined)) ||
    (second === undefined && nano !== undefined)
  if (hasHole) return remainingAreInRange(fields) ? startOfDay : undefined
  if (hour === 24 && !minute && !second && !nano) {
    return agrees(fields, 0) && remainingAreInRange(fields, 'hour')
      ? { msOfDay: 0, excessDays: 1 }
      : undefined
  }
  if (!remainingAreInRange(fields) || !agrees(fields, hour)) return undefined
  const seconds = (hour * 60 + (minute ?? 0)) * 60 + (second ?? 0)
  return { msOfDay: seconds * 1000 + Math.floor((nano ?? 0) / 1_000_000), excessDays: 0 }
}

/** Turns all other fields of a time into hour, minute, second and nanosecond. */
function simplify(fields: Fields): boolean {
  const put = (field: Field, value: number): boolean => {
    const known = fields.get(field)
    fields.set(field, value)
    return known === undefined || known === value
  }
  const clockHour = takeInRange(fields, 'clockHour')
  if (clockHour === 'invalid') return false
  if (clockHour !== undefined && !put('hour', clockHour % 24)) return false
  const clockHourOfHalfDay = takeInRange(fields, 'clockHourOfHalfDay')
  if (clockHourOfHalfDay === 'invalid') return false
  if (clockHourOfHalfDay !== undefined && !put('hourOfHalfDay', clockHourOfHalfDay % 12)) {
    return false
  }
  if (fields.has('halfDay') && fields.has('hourOfHalfDay')) {
    const half = takeInRange(fields, 'halfDay')
    const hour = takeInRange(fields, 'hourOfHalfDay')
    if (typeof half !== 'number' || typeof hour !== 'number') return false
    if (!put('hour', half * 12 + hour)) return false
  }
  const nanoOfDay = takeInRange(fields, 'nanoOfDay')
  if (nanoOfDay === 'invalid') return false
  if (nanoOfDay !== undefined) {
    const isSet = putSeconds(Math.floor(nanoOfDay / 1e9), put) && put('nano', nanoOfDay % 1e9)
    if (!isSet) return false
  }
  return simplifyMillis(fields, put)
}

type Put = (field: Field, value: number) => boolean

function putSeconds(seconds: number, put: Put): boolean {
  return (
    put('hour', Math.floor(seconds / 3600)) &&
    put('minute', Math.floor(seconds / 60) % 60) &&
    put('second', seconds % 60)
  )
}

/** Milliseconds of the day leave further digits to a fraction of a second. */
function simplifyMillis(fields: Fields, put: Put): boolean {
  const nano = fields.get('nano')
  if (nano !== undefined && !isInRange('nano', nano)) return false
  const milliOfDay = takeInRange(fields, 'milliOfDay')
  if (milliOfDay === undefined) return true
  if (milliOfDay === 'invalid' || !putSeconds(Math.floor(milliOfDay / 1000), put)) return false
  return put('nano', (milliOfDay % 1000) * 1e6 + ((nano ?? 0) % 1e6))
}

function isInRange(field: TimeField, value: number): boolean {
  const [least, most] = ranges[field]
  return value >= least && value <= most
}

function takeInRange(fields: Fields, field: TimeField): number | 'invalid' | undefined {
  const value = fields.get(field)
  fields.delete(field)
  if (value === undefined || isInRange(field, value)) return value
  return 'invalid'
}

function remainingAreInRange(fields: Fields, except?: TimeField): boolean {
  for (const field of timeFields) {
    const value = fields.get(field)
    if (value !== undefined && field !== except && !isInRange(field, value)) return false
  }
  return true
}

/** Whether a remaining half of the day, or hour of the half day, agrees with the hour. */
function agrees(fields: Fields, hour: number): boolean {
  const half = fields.get('halfDay')
  const hourOfHalf = fields.get('hourOfHalfDay')
  return (
    (half === undefined || half === Math.floor(hour / 12)) &&
    (hourOfHalf === undefined || hourOfHalf === hour % 12)
  )
}
