import { createHeldRecords } from '../../outbox/outbox.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'
import { listIn } from '../call/outgoing.ts'
import type { Amount, CallLimits, Outgoing, Returned } from '../call/outgoing.ts'
import type { SlowKeys } from './slow-keys.ts'
import type { ShardRoom } from '../shards/shard-throttles.ts'

/**
 * The records of a destination that are in memory. It decides which of them the next call takes.
 */
export interface SendQueue {
  add(records: readonly QueuedRecord[]): void
  /** What the next call could take, and when there will be more. */
  next(nowMs: number): NextCall
  /** Takes the records of the next call, which are then in flight; none when nothing may go. */
  take(nowMs: number, limits: CallLimits): readonly Outgoing[]
  /**
   * Ends a call. `taken` is the very list that `take` returned. The records in `returned` will be
   * sent again; all others of the call leave the queue.
   */
  release(taken: readonly Outgoing[], returned: readonly Returned[]): void
  /** Forgets all records, none of which may be in flight. */
  clear(): void
  /** The records that wait for a throttled shard, once their turn has come; bytes of payload. */
  heldFor(shardId: string): Amount
  /** The keys whose records cannot keep up with those of others. Undefined while there are none. */
  slowKeys(): SlowKeys | undefined
  /** All records of the queue, in flight or not; bytes of memory. */
  size(): Amount
}

/**
 * The records, and their bytes of payload, that a call without limits could take. While shards are
 * throttled this is an estimate: it may count some of their records too many and leave out bytes.
 * It has no records only when `take` would return none.
 */
export interface NextCall extends Amount {
  /** The next time at which records become ready that are not ready now; Infinity for never. */
  readonly dueMs: number
}

/** Counts the records of a queue, in flight or not, and their bytes of memory. */
export function createQueueSize() {
  const held = createHeldRecords()
  return {
    added: (record: QueuedRecord): void => held.add(record),
    released(taken: readonly Outgoing[], returned: readonly Returned[]): void {
      for (const { record } of returned) held.add(record)
      for (const { record } of taken) held.remove(record)
    },
    clear: (): void => held.clear(),
    size: (): Amount => ({ records: held.count(), bytes: held.bytes() }),
  }
}

const nothing: readonly never[] = Object.freeze([])

/** Items that wait for a time. The failed records of a call share few times, so there are few. */
interface Delayed<Item> {
  pause(dueMs: number, item: Item): void
  takeDue(nowMs: number): readonly Item[]
  /** Infinity when nothing waits. */
  nextDueMs(): number
  items(): Iterable<Item>
  clear(): void
}

export function createDelayed<Item>(): Delayed<Item> {
  const byTime = new Map<number, Item[]>()
  return {
    pause(dueMs, item) {
      listIn(byTime, dueMs).push(item)
    },
    takeDue(nowMs) {
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
    *items() {
      for (const items of byTime.values()) yield* items
    },
    clear: () => byTime.clear(),
  }
}

/** Items that wait for a throttled shard, in the order in which they came. */
export interface HeldByShard<Item> {
  hold(shardId: string, item: Item): void
  /** Takes the items whose shard is no longer throttled: they may go at any time. */
  takeReopened(): readonly Item[]
  /** The shards that may be tried at `nowMs`, each with its items, which the caller may remove. */
  due(nowMs: number): Iterable<{ readonly shardId: string; readonly items: Item[] }>
  /** How many items a call that starts at `nowMs` could take at least. */
  dueCount(nowMs: number): number
  /** The time after `nowMs` at which the next shard may be tried; Infinity when there is none. */
  nextDueMs(nowMs: number): number
  /** The items that wait for a shard. */
  itemsOf(shardId: string): readonly Item[]
  clear(): void
}

export function createHeldByShard<Item>(room: ShardRoom): HeldByShard<Item> {
  const held = new Map<string, Item[]>()

  function* due(nowMs: number) {
    for (const [shardId, items] of held) {
      if (items.length > 0 && room.recordsMax(shardId, nowMs) > 0) yield { shardId, items }
    }
  }

  return {
    hold(shardId, item) {
      listIn(held, shardId).push(item)
    },
    takeReopened() {
      if (held.size === 0) return nothing
      const reopened: Item[] = []
      for (const [shardId, items] of held) {
        if (room.isThrottled(shardId)) continue
        held.delete(shardId)
        for (const item of items) reopened.push(item)
      }
      return reopened
    },
    due,
    dueCount(nowMs) {
      if (held.size === 0) return 0
      let count = 0
      for (const { shardId, items } of due(nowMs)) {
        count += Math.min(items.length, room.recordsMax(shardId, nowMs))
      }
      return count
    },
    nextDueMs(nowMs) {
      let next = Infinity
      for (const [shardId, items] of held) {
        const dueMs = items.length > 0 ? room.dueMs(shardId) : undefined
        if (dueMs !== undefined && dueMs > nowMs) next = Math.min(next, dueMs)
      }
      return next
    },
    itemsOf: (shardId) => held.get(shardId) ?? nothing,
    clear: () => held.clear(),
  }
}
