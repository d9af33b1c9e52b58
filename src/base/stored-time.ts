import type { Clock } from './clock.ts'

/**
 * Converts a time of day that an earlier process stored into the monotonic time of this process,
 * which is often before its start.
 *
 * The time of day is read once, at the start. A stored time in the future, after the clock was set
 * back, counts as the time of the start, so that nothing outlives its own duration from then on.
 * The clock may also have been set forward, so callers grant a grace period after the start before
 * they end anything.
 */
export type StoredTime = (storedWallMs: number) => number

export function createStoredTime(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>): StoredTime {
  const openedWallMs = clock.wallMs()
  const openedMs = clock.monotonicMs()
  return (storedWallMs) => openedMs - Math.max(0, openedWallMs - storedWallMs)
}
