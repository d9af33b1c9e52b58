import { listIn } from '../call/outgoing.ts'

/** What waits for a time: a call's failures share few times, so there are few of them. */
export interface PausedUntil<Item> {
  pause(dueMs: number, item: Item): void
  takeDue(nowMs: number): readonly Item[]
  /** Infinity when nothing waits. */
  nextDueMs(): number
  clear(): void
}

const nothing: readonly never[] = Object.freeze([])

export function createPausedUntil<Item>(): PausedUntil<Item> {
  const byTime = new Map<number, Item[]>()
  return Object.freeze({
    pause(dueMs: number, item: Item) {
      listIn(byTime, dueMs).push(item)
    },
    takeDue(nowMs: number) {
      if (byTime.size === 0) return nothing
      const due: Item[] = []
      for (const [dueMs, items] of byTime) {
        if (dueMs > nowMs) continue
        byTime.delete(dueMs)
        for (const item of items) due.push(item)
      }
      return due
    },
    nextDueMs: () => Math.min(...byTime.keys()),
    clear: () => byTime.clear(),
  })
}
