import { describe, expect, test } from 'vitest'
import { createArrivals } from '../../src/event-source/arrivals.ts'
import { countTooOld } from '../../src/event-source/batch-decision.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const secondMs = 1_000
const hourMs = 3_600_000

/** A shard that is read once, and again ten seconds later, when a record has come in between. */
function ageOfRecord(steppedMs: number, { wasAtTip = true, stepsEarly = true } = {}): number {
  const clock = createManualClock()
  const arrivalsOf = createArrivals()
  const readNow = (millisBehindLatest: number) =>
    arrivalsOf({
      records: [],
      millisBehindLatest,
      asOfMs: clock.wallMs(),
      readMs: clock.monotonicMs(),
    })
  const step = () => clock.setWall(clock.wallMs() + steppedMs)
  readNow(wasAtTip ? 0 : hourMs)
  clock.advance(4 * secondMs)
  // The service has a clock of its own.
  const arrivalMs = clock.wallMs()
  if (stepsEarly) step()
  clock.advance(6 * secondMs)
  const sinceMs = readNow(0)(arrivalMs)
  if (!stepsEarly) step()
  clock.advance(10 * secondMs)
  return clock.monotonicMs() - sinceMs
}

describe('the age of a record of a shard', () => {
  test.each([
    ['as it is', 0, {}, 16],
    ['the time of day is set forward before it is read', hourMs, {}, 20],
    ['the time of day is set back before it is read', -hourMs, {}, 10],
    ['the time of day is set forward after it was read', hourMs, { stepsEarly: false }, 16],
    ['the time of day is set back after it was read', -hourMs, { stepsEarly: false }, 16],
    ['a reader that is behind has nothing but the time of day', hourMs, { wasAtTip: false }, 3_616],
  ])('%s', (_, steppedMs, options, seconds) => {
    expect(ageOfRecord(steppedMs, options)).toBe(seconds * secondMs)
  })

  const records = [100, 200, 300].map((sinceMs) => ({ sinceMs }))
  test.each([
    ['none is too old without a limit', -1, 1_000_000, 0],
    ['the first ones go', 1, 1_250, 2],
    ['all go', 1, 9_999, 3],
    ['none goes yet', 1, 1_100, 0],
  ])('%s', (_, ageSecondsMax, nowMs, expected) => {
    expect(countTooOld(records, ageSecondsMax, nowMs)).toBe(expected)
  })
})
