import type { Clock } from './clock.ts'

/** Logs at most one line per key and interval, and says how many it left out. */
export interface RateLimitedLog {
  /** Calls `write` unless a line of this key was written within the interval. */
  say(key: string, write: (suppressed: number) => void): void
}

const keysMax = 1_000

export function createRateLimitedLog(clock: Clock, intervalMs = 60_000): RateLimitedLog {
  const lines = new Map<string, { writtenMs: number; suppressed: number }>()
  return {
    say(key, write) {
      const nowMs = clock.nowMs()
      const line = lines.get(key)
      if (line && nowMs - line.writtenMs < intervalMs) {
        line.suppressed += 1
        return
      }
      lines.delete(key)
      // The oldest key goes first: keys may come from devices and must not pile up.
      if (lines.size >= keysMax) lines.delete(lines.keys().next().value ?? '')
      lines.set(key, { writtenMs: nowMs, suppressed: 0 })
      write(line?.suppressed ?? 0)
    },
  }
}
