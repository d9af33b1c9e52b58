import type { QueuedRecord, SharedMessage } from './store/queued-record.ts'

/** Counts records, and the bytes that they take in memory. What several share counts once. */
export interface HeldRecords {
  add(record: QueuedRecord): void
  remove(record: QueuedRecord): void
  clear(): void
  count(): number
  bytes(): number
}

export function createHeldRecords(): HeldRecords {
  /** How many of the records share each message. */
  const sharers = new Map<SharedMessage, number>()
  let count = 0
  let bytes = 0
  return {
    add({ stored, message }) {
      count += 1
      bytes += stored.length
      if (message === undefined) return
      const others = sharers.get(message) ?? 0
      if (others === 0) bytes += message.value.length
      sharers.set(message, others + 1)
    },
    remove({ stored, message }) {
      count -= 1
      bytes -= stored.length
      if (message === undefined) return
      const left = (sharers.get(message) ?? 0) - 1
      if (left > 0) {
        sharers.set(message, left)
        return
      }
      if (sharers.delete(message)) bytes -= message.value.length
    },
    clear() {
      sharers.clear()
      count = 0
      bytes = 0
    },
    count: () => count,
    bytes: () => bytes,
  }
}
