import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until it is moved. Its two readings share no beginning. */
export interface ManualClock extends Clock {
  /** Moves both hands on, running what becomes due, in order. */
  advance(ms: number): void
  /** Sets the time of day alone, as a person or NTP does; nothing becomes due by it. */
  setWall(epochMs: number): void
  /** Timers that are neither due nor cancelled. */
  readonly timerCount: number
}

/** What the monotonic hand shows at first: no time of day, so that a mixed-up reading is seen. */
const monotonicStartMs = 5_000

interface Timer {
  readonly dueMs: number
  readonly callback: () => void
}

/** Of those that are due together, the one that was set first. */
function firstOf(timers: Iterable<Timer>): Timer | undefined {
  let first: Timer | undefined
  for (const timer of timers) if (first === undefined || timer.dueMs < first.dueMs) first = timer
  return first
}

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let monotonicMs = monotonicStartMs
  let wallAheadMs = startMs - monotonicStartMs
  const timers = new Set<Timer>()

  function after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: monotonicMs + delayMs, callback }
    timers.add(timer)
    return () => void timers.delete(timer)
  }

  return {
    wallMs: () => monotonicMs + wallAheadMs,
    monotonicMs: () => monotonicMs,
    after,
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const finish = () => {
          cancel()
          signal?.removeEventListener('abort', finish)
          resolve()
        }
        const cancel = after(delayMs, finish)
        signal?.addEventListener('abort', finish, { once: true })
      }),
    advance(ms) {
      const endMs = monotonicMs + ms
      for (;;) {
        const next = firstOf(timers)
        if (next === undefined || next.dueMs > endMs) break
        timers.delete(next)
        monotonicMs = Math.max(monotonicMs, next.dueMs)
        next.callback()
      }
      monotonicMs = endMs
    },
    setWall(epochMs) {
      wallAheadMs = epochMs - monotonicMs
    },
    get timerCount() {
      return timers.size
    },
  }
}
