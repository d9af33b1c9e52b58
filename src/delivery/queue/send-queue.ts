import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Amount, CallLimits, Outgoing, Returned } from '../call/outgoing.ts'
import { memoryBytesOf } from '../call/outgoing.ts'

/** The records of a destination that are in memory, and which of them may go. */
export interface SendQueue {
  add(records: readonly QueuedRecord[]): void
  /** The records of the next call, now in flight; none when nothing may go at `nowMs`. */
  take(nowMs: number, limits: CallLimits): readonly Outgoing[]
  /**
   * Ends a call. `taken` is the very list that `take` gave; `returned` are those of it to send
   * again, the others leave the queue.
   */
  release(taken: readonly Outgoing[], returned: readonly Returned[]): void
  /** Forgets all records, none of which may be in flight. */
  clear(): void
  /** When the next records may go of those that may not at `nowMs`; Infinity when there are none. */
  nextDueMs(nowMs: number): number
  /**
   * What the next call could take at `nowMs`, limits apart. While a shard is throttled, of its
   * records a few may be counted that it cannot, and bytes of those that it can may be missing.
   */
  ready(nowMs: number): Amount
  /** What waits for a throttled shard, as far as it was its turn; bytes as Kinesis counts. */
  heldFor(shardId: string): Amount
  /** All that is in the queue, in flight or not; bytes of memory. */
  size(): Amount
}

/** Counts what is in a queue, in flight or not, by its bytes of memory. */
interface QueueSize {
  added(record: QueuedRecord): void
  released(taken: readonly Outgoing[], returned: readonly Returned[]): void
  clear(): void
  size(): Amount
}

export function createQueueSize(): QueueSize {
  let records = 0
  let bytes = 0
  return {
    added(record: QueuedRecord) {
      records += 1
      bytes += record.stored.length
    },
    released(taken: readonly Outgoing[], returned: readonly Returned[]) {
      records += returned.length - taken.length
      bytes += memoryBytesOf(returned) - memoryBytesOf(taken)
    },
    clear() {
      records = 0
      bytes = 0
    },
    size: () => ({ records, bytes }),
  }
}
