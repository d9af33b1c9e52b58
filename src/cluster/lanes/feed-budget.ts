import type { Clock } from '../../base/clock.ts'

/**
 * How much of the log is in the outbox of this node. What one destination may hold shrinks with the
 * room that is left: one that fails leaves room for all others, and one that is alone gets much.
 */
export interface FeedBudget {
  /** Whether a destination may take a chunk of so many bytes. One that holds nothing always may. */
  hasRoom(destination: string, bytes: number): boolean
  add(destination: string, bytes: number): void
  remove(destination: string, bytes: number): void
  /** Resolves when something was removed, when `signal` aborts, or after `waitMs`. */
  removed(waitMs: number, signal: AbortSignal): Promise<void>
  heldBytes(): number
}

type BudgetClock = Pick<Clock, 'after'>

/** A destination may hold this part of what is free. */
const shareOfFree = 0.25

export function createFeedBudget(clock: BudgetClock, bytesMax: number): FeedBudget {
  const held = new Map<string, number>()
  let total = 0
  const waiting = new Set<() => void>()

  return {
    hasRoom(destination, bytes) {
      const own = held.get(destination) ?? 0
      return own === 0 || own + bytes <= (bytesMax - total) * shareOfFree
    },
    add(destination, bytes) {
      held.set(destination, (held.get(destination) ?? 0) + bytes)
      total += bytes
    },
    remove(destination, bytes) {
      const left = (held.get(destination) ?? 0) - bytes
      if (left > 0) held.set(destination, left)
      else held.delete(destination)
      total -= bytes
      for (const wake of waiting) wake()
    },
    removed: (waitMs, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const wake = () => {
          cancel()
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const cancel = clock.after(waitMs, wake)
        waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      }),
    heldBytes: () => total,
  }
}
