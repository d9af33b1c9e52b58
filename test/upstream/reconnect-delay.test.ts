import { expect, test } from 'vitest'
import { reconnectDelayMs } from '../../src/upstream/reconnect-delay.ts'

test('delays double from a second up to a minute, and up to half of each is left out', () => {
  const failures = [1, 2, 3, 4, 5, 6, 7, 8, 100]
  const longest = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
  expect(failures.map((count) => reconnectDelayMs(count, 0))).toEqual(longest.map((ms) => ms / 2))
  expect(failures.map((count) => reconnectDelayMs(count, 0.999_999))).toEqual(longest)
})
