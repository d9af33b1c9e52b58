import type { QueuedRecord } from '../../outbox/outbox.ts'
import { memoryBytesOf } from '../call/outgoing.ts'
import type { Outgoing, Returned } from '../call/outgoing.ts'
import type { Amount } from './send-queue.ts'

/** Counts what is in a queue, in flight or not, by its bytes of memory. */
export interface HeldAmount {
  added(record: QueuedRecord): void
  released(taken: readonly Outgoing[], returned: readonly Returned[]): void
  clear(): void
  size(): Amount
}

export function createHeldAmount(): HeldAmount {
  let records = 0
  let bytes = 0
  return Object.freeze({
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
  })
}
