import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { statusDurationsDefault, statusDurationsOf } from '../../src/lab/streams/stream-statuses.ts'

const limitsOf = (value?: string) =>
  loadConfig(value === undefined ? {} : { SLUICE_LAB_LIMITS: value }, 'lab').lab.limits

test.each([
  [undefined, { writes: true, reads: true, fanOut: true }],
  ['on', { writes: true, reads: true, fanOut: true }],
  ['off', { writes: false, reads: false, fanOut: false }],
  ['fan-out', { writes: false, reads: false, fanOut: true }],
  ['writes,reads', { writes: true, reads: true, fanOut: false }],
])('SLUICE_LAB_LIMITS=%s', (value, limits) => {
  expect(limitsOf(value)).toEqual(limits)
})

test.each(['all', 'writes,', 'on,off'])('SLUICE_LAB_LIMITS=%s is refused', (value) => {
  expect(() => limitsOf(value)).toThrow(/SLUICE_LAB_LIMITS/)
})

test('SLUICE_LAB_STATUS_MS sets all durations, and its absence the defaults', () => {
  expect(statusDurationsOf(undefined)).toBe(statusDurationsDefault)
  expect(new Set(Object.values(statusDurationsOf(7)))).toEqual(new Set([7]))
})
