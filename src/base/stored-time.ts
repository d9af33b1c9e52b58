import type { Clock } from './clock.ts'

/**
 * When something happened that an earlier process stored with its time of day: by the monotonic
 * clock of this process, and so often before its beginning.
 *
 * The time of day is believed once, at the start. What it puts into the future, because it was set
 * back in between, is taken as of the start: nothing is kept longer than its own length from then.
 * Whoever ends things by it gives them a grace period after the start, for it may have been set
 * forward as well.
 */
export type StoredTime = (storedWallMs: number) => number

export function createStoredTime(clock: Pick<Clock, 'wallMs' | 'monotonicMs'>): StoredTime {
  const openedWallMs = clock.wallMs()
  const openedMs = clock.monotonicMs()
  return (storedWallMs) => openedMs - Math.max(0, openedWallMs - storedWallMs)
}
