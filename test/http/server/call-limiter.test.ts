import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCallLimiter } from '../../../src/http/server/call-limiter.ts'

/** A limiter and the time that it sees. */
function limiterWith(callsPerSecond: number, startMs: number, callersMax = 10) {
  const time = { nowMs: startMs }
  const clock = { monotonicMs: () => time.nowMs }
  return { time, limiter: createCallLimiter({ clock }, { callsPerSecond, callersMax }) }
}

test('lets a second’s worth of calls through at once, at any time, and then one by one', () => {
  const anyTime = fc.double({ min: 0, max: 1e12, noNaN: true })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), anyTime, (rate, startMs) => {
      const { limiter, time } = limiterWith(rate, startMs)
      const waits = Array.from({ length: rate }, () => limiter.take('a'))
      expect(waits.every((waitMs) => waitMs === 0)).toBe(true)
      const waitMs = limiter.take('a')
      expect(waitMs).toBeGreaterThan(0)
      time.nowMs += waitMs
      expect(limiter.take('a')).toBe(0)
    }),
  )
})

test('counts each caller apart, and forgets the one that called longest ago', () => {
  const { limiter } = limiterWith(1, 0, 2)
  expect(['a', 'b', 'a', 'b'].map((caller) => limiter.take(caller) > 0)).toEqual([
    false,
    false,
    true,
    true,
  ])
  expect(limiter.take('c')).toBe(0)
  expect(limiter.take('a')).toBe(0)
})
