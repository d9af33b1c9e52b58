import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  civilDateOf,
  dayOfWeekOf,
  epochDayOf,
  isoWeekOf,
  lengthOfMonth,
} from '../../../src/sql/time/calendar.ts'
import { findJodaZone } from '../../../src/sql/time/zone-ids.ts'
import { dayTimeOf, findRegionZone } from '../../../src/sql/time/zones.ts'
import type { Zone } from '../../../src/sql/time/zones.ts'

const hours = (count: number) => count * 3_600_000

function zoneOf(id: string): Zone {
  const zone = findRegionZone(id)
  if (zone === undefined) throw new Error(`no zone ${id}`)
  return zone
}

const offsetAt = (id: string, time: string) => zoneOf(id).offsetMsAt(dayTimeOf(Date.parse(time)))

test.for([
  ['America/New_York', '1800-01-01T00:00:00Z', -17_762_000],
  ['America/New_York', '1883-11-18T16:59:59Z', -17_762_000],
  ['America/New_York', '1883-11-18T17:00:00Z', hours(-5)],
  ['Europe/Berlin', '2024-03-31T00:59:59Z', hours(1)],
  ['Europe/Berlin', '2024-03-31T01:00:00Z', hours(2)],
  ['Europe/Berlin', '+012024-07-01T00:00:00Z', hours(2)],
  ['Pacific/Apia', '2011-12-30T09:59:59Z', hours(-10)],
  ['Pacific/Apia', '2011-12-30T10:00:00Z', hours(14)],
  ['America/Recife', '2000-10-10T00:00:00Z', hours(-2)],
  ['Asia/Kathmandu', '2024-01-01T00:00:00Z', hours(5.75)],
] as const)('%s at %s is %d ms ahead of UTC', ([id, time, offset]) => {
  expect(offsetAt(id, time)).toBe(offset)
})

test.for([
  ['Europe/Berlin', '2024-07-01T00:00:00Z', true],
  ['Europe/Berlin', '2024-01-01T00:00:00Z', false],
  ['Australia/Sydney', '2024-01-01T00:00:00Z', true],
  ['Asia/Tokyo', '2024-07-01T00:00:00Z', false],
  ['Europe/Istanbul', '2024-07-01T00:00:00Z', false],
  ['America/Whitehorse', '2024-07-01T00:00:00Z', false],
  ['Europe/Dublin', '2024-07-01T00:00:00Z', true],
  ['Europe/London', '1970-01-01T00:00:00Z', false],
] as const)('%s at %s: daylight time is %s', ([id, time, isDaylight]) => {
  expect(zoneOf(id).isDaylightAt(dayTimeOf(Date.parse(time)))).toBe(isDaylight)
})

describe('what clocks show, as a moment', () => {
  test.for([
    ['a time that is skipped comes out later', 'Europe/Paris', '2024-03-31T02:30', '01:30'],
    ['of two, the earlier', 'Europe/Paris', '2024-10-27T02:30', '00:30'],
    ['right after the change', 'Europe/Paris', '2024-10-27T03:00', '02:00'],
    ['a whole day that is skipped', 'Pacific/Apia', '2011-12-30T12:00', '22:00'],
    ['at the turn of the year', 'America/New_York', '2024-12-31T23:30', '04:30'],
  ] as const)('%s', ([, id, wall, utc]) => {
    const { msOfDay } = zoneOf(id).momentOf(dayTimeOf(Date.parse(`${wall}Z`)))
    expect(msOfDay).toBe(Date.parse(`1970-01-01T${utc}Z`))
  })

  test('showing it again gives it back, unless it was skipped', () => {
    const ids = ['Europe/Paris', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Gaza']
    fc.assert(
      fc.property(fc.constantFrom(...ids), fc.integer({ min: -2e9, max: 4e9 }), (id, seconds) => {
        const zone = zoneOf(id)
        const moment = dayTimeOf(seconds * 1000)
        const wall = dayTimeOf(seconds * 1000 + zone.offsetMsAt(moment))
        const again = zone.momentOf(wall)
        const difference = moment.epochDay * 86_400_000 + moment.msOfDay
        const earlier = again.epochDay * 86_400_000 + again.msOfDay
        // Clocks that were set back show two moments alike; the earlier one is taken.
        expect(difference - earlier).toBeGreaterThanOrEqual(0)
        expect(wall).toEqual(dayTimeOf(earlier + zone.offsetMsAt(again)))
      }),
    )
  })
})

test.for([
  ['America/New_York', 'America/New_York'],
  ['US/Pacific', 'America/Los_Angeles'],
  ['Zulu', 'Etc/UTC'],
  ['UTC', 'UTC'],
  ['+0530', '+05:30'],
  ['-00:00', 'UTC'],
  ['utc', undefined],
  ['america/new_york', undefined],
  ['Etc/Unknown', undefined],
  ['+24:00', undefined],
  ['', undefined],
  ['__proto__', undefined],
])('the id %s stands for %s', ([id = '', canonical]) => {
  expect(findJodaZone(id)?.id).toBe(canonical)
})

test('dates and day numbers are each other’s inverse', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e11, max: 1e11 }), (epochDay) => {
      const { year, month, day } = civilDateOf(epochDay)
      expect(day).toBeLessThanOrEqual(lengthOfMonth(year, month))
      expect(epochDayOf(year, month, day)).toBe(epochDay)
    }),
  )
})

test('dates, days of the week and ISO weeks are those of known days', () => {
  expect(civilDateOf(19_782)).toEqual({ year: 2024, month: 2, day: 29 })
  expect(dayOfWeekOf(0)).toBe(4)
  expect(isoWeekOf(epochDayOf(2021, 1, 3))).toEqual({ weekyear: 2020, week: 53 })
  expect(isoWeekOf(epochDayOf(2024, 12, 30))).toEqual({ weekyear: 2025, week: 1 })
})
