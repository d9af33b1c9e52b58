import { listIn } from '../call/outgoing.ts'
import type { ShardRoom } from '../shards/shard-throttles.ts'

/** What waits for a time: a call's failures share few times, so there are few of them. */
interface Delayed<Item> {
  pause(dueMs: number, item: Item): void
  takeDue(nowMs: number): readonly Item[]
  /** Infinity when nothing waits. */
  nextDueMs(): number
  clear(): void
}

const nothing: readonly never[] = Object.freeze([])

export function createDelayed<Item>(): Delayed<Item> {
  const byTime = new Map<number, Item[]>()
  return {
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
  }
}

/** What waits for a throttled shard, in the order in which it came; the queue decides what it is. */
export interface HeldByShard<Item> {
  hold(shardId: string, item: Item): void
  /** What may go again at any time: its shard is no longer throttled. */
  takeReopened(): readonly Item[]
  /** The shards that may be tried at `nowMs`, each with what waits for it: to be taken from. */
  due(nowMs: number): Iterable<{ readonly shardId: string; readonly items: Item[] }>
  /** How many items a call that starts at `nowMs` could take at least. */
  dueCount(nowMs: number): number
  /** When the next shard may be tried that may not at `nowMs`; Infinity when there is none. */
  nextDueMs(nowMs: number): number
  /** What waits for a shard, in an order that is not to be changed. */
  itemsOf(shardId: string): readonly Item[]
  clear(): void
}

const noItems: readonly never[] = Object.freeze([])

export function createHeldByShard<Item>(room: ShardRoom): HeldByShard<Item> {
  const held = new Map<string, Item[]>()

  function* due(nowMs: number) {
    for (const [shardId, items] of held) {
      if (items.length > 0 && room.recordsMax(shardId, nowMs) > 0) yield { shardId, items }
    }
  }

  return {
    hold(shardId: string, item: Item) {
      listIn(held, shardId).push(item)
    },
    takeReopened() {
      if (held.size === 0) return noItems
      const reopened: Item[] = []
      for (const [shardId, items] of held) {
        if (room.isThrottled(shardId)) continue
        held.delete(shardId)
        for (const item of items) reopened.push(item)
      }
      return reopened
    },
    due,
    dueCount(nowMs: number) {
      if (held.size === 0) return 0
      let count = 0
      for (const { shardId, items } of due(nowMs)) {
        count += Math.min(items.length, room.recordsMax(shardId, nowMs))
      }
      return count
    },
    nextDueMs(nowMs: number) {
      let next = Infinity
      for (const [shardId, items] of held) {
        const dueMs = items.length > 0 ? room.dueMs(shardId) : undefined
        if (dueMs !== undefined && dueMs > nowMs) next = Math.min(next, dueMs)
      }
      return next
    },
    itemsOf: (shardId: string) => held.get(shardId) ?? noItems,
    clear: () => held.clear(),
  }
}
