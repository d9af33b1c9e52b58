import { describe, expect, test } from 'vitest'
import { createBackoff } from '../../../src/delivery/outcome/backoff.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

function openGate() {
  const clock = createManualClock(1_000_000)
  const backoff = createBackoff({ clock, random: () => 0.5 }, { maxInFlight: 16 })
  return { clock, backoff, allowed: () => backoff.allowed(clock.monotonicMs()) }
}

describe('the backoff of a destination', () => {
  test('is open at first', () => {
    const { allowed } = openGate()
    expect(allowed()).toBe(16)
  })

  test('closes after a failure, then lets one call try', () => {
    const { clock, backoff, allowed } = openGate()
    backoff.failed(backoff.generation(), 'passing')
    expect(allowed()).toBe(0)
    clock.advance(49)
    expect(allowed()).toBe(0)
    clock.advance(1)
    expect(allowed()).toBe(1)
    backoff.answered()
    expect(allowed()).toBe(16)
  })

  test('counts the failures of calls that were in flight together as one', () => {
    const { clock, backoff, allowed } = openGate()
    const generation = backoff.generation()
    for (let call = 0; call < 16; call++) backoff.failed(generation, 'passing')
    clock.advance(50)
    expect(allowed()).toBe(1)
  })

  test('stays closed longer after each further failure', () => {
    const { clock, backoff } = openGate()
    const delays = Array.from({ length: 8 }, () => {
      backoff.failed(backoff.generation(), 'destination')
      const delayMs = backoff.opensAtMs() - clock.monotonicMs()
      clock.advance(delayMs)
      return delayMs
    })
    expect(delays).toEqual([750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000])
  })

  test.each([
    ['as long as the service asks', 5_000, 5_000],
    ['its own time when that is longer', 1, 50],
    ['a minute at most', 999_999_000, 60_000],
  ])('stays closed %s', (_, askedMs, delayMs) => {
    const { clock, backoff } = openGate()
    backoff.failed(backoff.generation(), 'passing', askedMs)
    expect(backoff.opensAtMs() - clock.monotonicMs()).toBe(delayMs)
  })

  test('opens at once when the missing stream exists, whatever earlier calls report', () => {
    const { backoff, allowed } = openGate()
    const generation = backoff.generation()
    backoff.failed(generation, 'destination')
    backoff.reset()
    backoff.failed(generation, 'destination')
    expect(allowed()).toBe(16)
  })
})
