import type { Clock } from '../../src/base/clock.ts'
import type { Destination, Outbox, QueuedRecord } from '../../src/outbox/outbox.ts'
import { canonicalText } from '../../src/outbox/store/destination.ts'
import { newQueuedRecord } from '../../src/outbox/store/queued-record.ts'
import { decodeSource, encodeRecord, messageIdOf } from '../../src/outbox/store/record-codec.ts'

/** What the lanes and the producer use of an outbox. */
type MemoryOutbox = Pick<
  Outbox,
  | 'troubles'
  | 'append'
  | 'read'
  | 'delivered'
  | 'destinations'
  | 'size'
  | 'onAppended'
  | 'ageMs'
  | 'sourceOf'
  | 'messageIdOf'
  | 'removalsPending'
  | 'close'
>

interface Queue {
  readonly id: number
  readonly destination: Destination
  records: QueuedRecord[]
}

/** An outbox without a disk, for runs that are many. It has no bounds, no ledger and no letters. */
export function createMemoryOutbox(clock: Clock): Outbox {
  const queues = new Map<string, Queue>()
  const listeners = new Set<(ids: readonly number[]) => void>()
  let sequence = 0

  function queueOf(destination: Destination): Queue {
    const key = canonicalText(destination)
    const known = queues.get(key) ?? { id: queues.size + 1, destination, records: [] }
    queues.set(key, known)
    return known
  }
  const withId = (id: number) => [...queues.values()].find((queue) => queue.id === id)

  const outbox: MemoryOutbox = {
    troubles: { isFull: () => false, doWritesFail: () => false },
    async append(records, options) {
      const acceptedAtMs = clock.wallMs()
      const placed = records.map((record) => {
        const stored = encodeRecord(record, acceptedAtMs)
        const queue = queueOf(record.destination)
        return {
          queue,
          record: newQueuedRecord(record, { sequence: ++sequence, acceptedAtMs, stored }),
        }
      })
      options?.onPlaced?.(placed.map(({ record }) => record.sequence))
      await new Promise((resolve) => setImmediate(resolve))
      for (const { queue, record } of placed) queue.records.push(record)
      const ids = new Set(placed.map(({ queue }) => queue.id))
      for (const listener of listeners) listener([...ids])
    },
    read(id, after, { countMax, bytesMax }) {
      const found: QueuedRecord[] = []
      let bytes = 0
      for (const record of withId(id)?.records ?? []) {
        if (record.sequence <= after) continue
        bytes += record.bytes
        if (found.length === countMax || (found.length > 0 && bytes > bytesMax)) break
        found.push(record)
      }
      return found
    },
    delivered(id, records) {
      const queue = withId(id)
      const gone = new Set(records.map((record) => record.sequence))
      if (queue) queue.records = queue.records.filter((record) => !gone.has(record.sequence))
    },
    destinations: () =>
      Array.from(queues.values(), ({ id, destination, records }) => {
        return { id, destination, records: records.length, bytes: 0 }
      }),
    size: () => ({
      records: [...queues.values()].reduce((sum, { records }) => sum + records.length, 0),
      bytes: 0,
    }),
    onAppended(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    ageMs: ({ acceptedAtMs }) => clock.wallMs() - acceptedAtMs,
    sourceOf: ({ stored }) => decodeSource(stored),
    messageIdOf: ({ stored }) => messageIdOf(stored),
    removalsPending: () => 0,
    close: () => Promise.resolve(),
  }
  return outbox as Outbox
}
