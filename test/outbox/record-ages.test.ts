import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRecordAges, spansMax } from '../../src/outbox/record-ages.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const hourMs = 3_600_000

type Step =
  | { readonly kind: 'accept' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'set'; readonly byMs: number }

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('accept' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(48 * hourMs) }),
    fc.record({
      kind: fc.constant('set' as const),
      byMs: fc.integer({ min: -48 * hourMs, max: 48 * hourMs }),
    }),
  ),
  { maxLength: 60 },
)

describe('the age of a record', () => {
  test('is the time since acceptance, also when the time of day is set', () => {
    fc.assert(
      fc.property(steps, (given: readonly Step[]) => {
        const clock = createManualClock()
        const ages = createRecordAges(clock, 10)
        const accepted: { sequence: number; acceptedAtMs: number; atMs: number }[] = []
        for (const step of given) {
          if (step.kind === 'wait') clock.advance(step.ms)
          if (step.kind === 'set') clock.setWall(clock.wallMs() + step.byMs)
          if (step.kind !== 'accept') continue
          const sequence = 11 + accepted.length
          const atMs = clock.monotonicMs()
          accepted.push({ sequence, acceptedAtMs: ages.accepted(sequence, atMs), atMs })
          expect(accepted.at(-1)?.acceptedAtMs).toBe(clock.wallMs())
        }
        for (const { atMs, ...record } of accepted) {
          const errorMs = ages.ageMs(record) - (clock.monotonicMs() - atMs)
          expect(Math.abs(errorMs)).toBeLessThan(1_000)
        }
      }),
      { numRuns: 300 },
    )
  })

  const restarts: [name: string, steppedMs: number, ageAtStartMs: number][] = [
    ['as it was', 0, 2 * hourMs],
    ['set forward by a day', 24 * hourMs, 26 * hourMs],
    ['set back by an hour', -hourMs, hourMs],
    ['set back by a day: none is of the future', -24 * hourMs, 0],
  ]
  test.each(restarts)('after a start with a clock %s', (_, steppedMs, ageAtStartMs) => {
    const clock = createManualClock()
    const record = { sequence: 1, acceptedAtMs: clock.wallMs() }
    clock.advance(2 * hourMs)
    clock.setWall(clock.wallMs() + steppedMs)
    const ages = createRecordAges(clock, 1)
    expect(ages.ageMs(record)).toBe(ageAtStartMs)
    for (const byMs of [25 * hourMs, -50 * hourMs]) clock.setWall(clock.wallMs() + byMs)
    clock.advance(hourMs)
    expect(ages.ageMs(record)).toBe(ageAtStartMs + hourMs)
  })

  test('is at most the time since the start when too many steps were taken', () => {
    const clock = createManualClock()
    const ages = createRecordAges(clock, 0)
    const first = { sequence: 1, acceptedAtMs: ages.accepted(1, clock.monotonicMs()) }
    for (let sequence = 2; sequence < 2 * spansMax; sequence++) {
      clock.setWall(clock.wallMs() - 2_000)
      ages.accepted(sequence, clock.monotonicMs())
      clock.advance(1)
    }
    const last = { sequence: 2 * spansMax, acceptedAtMs: clock.wallMs() }
    ages.accepted(last.sequence, clock.monotonicMs())
    expect(ages.ageMs(last)).toBe(0)
    expect(ages.ageMs(first)).toBeLessThanOrEqual(2 * spansMax)
  })
})
