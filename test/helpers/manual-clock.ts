import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  /** Moves on, running what becomes due, in order. */
  advance(ms: number): void
}

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = startMs
  const timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>()

  function after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: nowMs + delayMs, callback }
    timers.add(timer)
    return () => void timers.delete(timer)
  }

  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    after,
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        after(delayMs, resolve)
        signal?.addEventListener('abort', () => resolve(), { once: true })
      }),
    advance(ms) {
      const endMs = nowMs + ms
      for (;;) {
        const [next] = [...timers].toSorted((left, right) => left.dueMs - right.dueMs)
        if (next === undefined || next.dueMs > endMs) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.dueMs)
        next.callback()
      }
      nowMs = endMs
    },
  }
}
