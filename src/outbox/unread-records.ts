/**
 * The newest records of each destination, in memory until they are read: a producer that keeps up
 * reads nothing from disk.
 *
 * - What is here is on disk as well, and was never read: whoever has read a record, from here or
 *   from disk, says so (`passed`), and it is gone from here with all before it.
 * - For each destination these are all its records after a sequence, so that reading on from there
 *   needs nothing else. What does not fit is left to the disk, from the oldest on.
 */
import type { QueuedRecord, ReadLimits } from './store/queued-record.ts'

/** Of all destinations together; beyond it those of a destination are left to the disk. */
const unreadBytesMax = 16 * 1024 * 1024
const unreadRecordsMax = 20_000

export interface UnreadRecords {
  /** A record of this destination is durable now: those of a destination in order. */
  add(destinationId: number, record: QueuedRecord): void
  /**
   * Reads on after a sequence.
   *
   * @returns undefined when not all records after it are here
   */
  take(destinationId: number, afterSequence: number, limits: ReadLimits): QueuedRecord[] | undefined
  /** All records of a destination up to this sequence were read. */
  passed(destinationId: number, sequence: number): void
  /** These destinations are no more. */
  forget(destinationIds: readonly number[]): void
}

interface Unread {
  /** All that is on disk after this sequence is in `records`. */
  afterSequence: number
  records: QueuedRecord[]
}

/** @param lastSequence the last one that is on disk: of those before, none is here */
export function createUnreadRecords(lastSequence: number): UnreadRecords {
  const byDestination = new Map<number, Unread>()
  const held = { records: 0, bytes: 0 }

  function drop(unread: Unread, count: number): QueuedRecord[] {
    const dropped = unread.records.splice(0, count)
    unread.afterSequence = dropped.at(-1)?.sequence ?? unread.afterSequence
    held.records -= dropped.length
    for (const { stored } of dropped) held.bytes -= stored.length
    return dropped
  }

  function unreadOf(destinationId: number): Unread {
    const known = byDestination.get(destinationId)
    if (known) return known
    const unread: Unread = { afterSequence: lastSequence, records: [] }
    byDestination.set(destinationId, unread)
    return unread
  }

  return {
    add(destinationId: number, record: QueuedRecord) {
      const unread = unreadOf(destinationId)
      // On disk it can be read a moment before the word of its being there comes here.
      if (record.sequence <= unread.afterSequence) return
      unread.records.push(record)
      held.records += 1
      held.bytes += record.stored.length
      if (held.records > unreadRecordsMax || held.bytes > unreadBytesMax) {
        drop(unread, unread.records.length)
      }
    },
    take(destinationId: number, afterSequence: number, limits: ReadLimits) {
      const unread = unreadOf(destinationId)
      if (afterSequence < unread.afterSequence) return undefined
      drop(unread, countUpTo(unread.records, afterSequence))
      return drop(unread, countWithin(unread.records, limits))
    },
    passed(destinationId: number, sequence: number) {
      const unread = unreadOf(destinationId)
      if (sequence <= unread.afterSequence) return
      drop(unread, countUpTo(unread.records, sequence))
      unread.afterSequence = sequence
    },
    forget(destinationIds: readonly number[]) {
      for (const id of destinationIds) {
        const unread = byDestination.get(id)
        if (unread) drop(unread, unread.records.length)
        byDestination.delete(id)
      }
    },
  }
}

function countUpTo(records: readonly QueuedRecord[], sequence: number): number {
  const end = records.findIndex((record) => record.sequence > sequence)
  return end < 0 ? records.length : end
}

/** As many as a read gives: the first one even if it is larger. */
function countWithin(records: readonly QueuedRecord[], { countMax, bytesMax }: ReadLimits): number {
  let bytes = 0
  const end = records.findIndex((record, index) => {
    bytes += record.bytes
    return index === countMax || (index > 0 && bytes > bytesMax)
  })
  return end < 0 ? records.length : end
}
