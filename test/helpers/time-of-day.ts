import { describe, expect, test } from 'vitest'
import { createManualClock } from './manual-clock.ts'
import type { ManualClock } from './manual-clock.ts'

export const secondMs = 1_000
export const minuteMs = 60_000
export const hourMs = 3_600_000

export interface Scene {
  /** Runs what it is about, calling `step` where the time of day is set; gives what was seen. */
  readonly run: (clock: ManualClock, step: () => void) => unknown
  readonly expected: unknown
}

const steps: readonly [name: string, byMs: number][] = [
  ['not set', 0],
  ['set an hour forward', hourMs],
  ['set an hour back', -hourMs],
  ['set a day forward', 25 * hourMs],
  ['set a day back', -25 * hourMs],
]

/** What goes by durations does what it does when nobody touches the time of day. */
export function describeUnmoved(scenes: Readonly<Record<string, Scene>>): void {
  describe.each(Object.entries(scenes))('%s', (_, { run, expected }) => {
    test.each(steps)('while the time of day is %s', async (__, byMs) => {
      const clock = createManualClock()
      const seen = await run(clock, () => clock.setWall(clock.wallMs() + byMs))
      expect(seen).toEqual(expected)
    })
  })
}
