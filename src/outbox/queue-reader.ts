/**
 * Reads the queue of a destination: the records that are durable, and neither delivered nor given
 * up.
 *
 * Two things spare the disk:
 * - The newest records of each destination stay in memory until they are read: a producer that
 *   keeps up reads nothing from disk. What is in memory is on disk as well, and was never read: a
 *   record that was read, from memory or from disk, is dropped here, with all records before it.
 *   For each destination memory holds all records after a sequence, so that reading on from there
 *   needs nothing else. Records that do not fit are left to the disk, the oldest first.
 * - Records whose removal is not on disk yet are left out when the disk is read.
 */
import { createHeldRecords } from './held-records.ts'
import type { HeldRecords } from './held-records.ts'
import type { OutboxStore, RecordPosition, RecordRemovals } from './store/outbox-store.ts'
import { acceptedAtMsOf } from './store/record-codec.ts'
import { queuedRecord } from './store/queued-record.ts'
import type { QueuedRecord, ReadLimits } from './store/queued-record.ts'
import type { RecordAges } from './record-ages.ts'

interface QueueReader {
  /** The records of a destination after a sequence (0: from the first), in order. */
  read(destinationId: number, afterSequence: number, limits: ReadLimits): QueuedRecord[]
  /** The age of the oldest record of a destination, in milliseconds. */
  oldestAgeMs(destinationId: number): number | undefined
}

interface QueueReaderDependencies {
  readonly store: Pick<OutboxStore, 'entriesAfter'>
  readonly pendingRemovals: PendingRemovals
  readonly unread: UnreadRecords
  readonly ages: Pick<RecordAges, 'ageMs'>
}

export function createQueueReader({
  store,
  pendingRemovals,
  unread,
  ages,
}: QueueReaderDependencies): QueueReader {
  function* queuedAfter(destinationId: number, afterSequence: number) {
    for (const entry of store.entriesAfter(destinationId, afterSequence)) {
      if (!pendingRemovals.has(entry)) yield entry
    }
  }
  function readFromDisk(
    destinationId: number,
    afterSequence: number,
    { countMax, bytesMax }: ReadLimits,
  ): QueuedRecord[] {
    const records: QueuedRecord[] = []
    let readBytes = 0
    for (const { sequence, value, message } of queuedAfter(destinationId, afterSequence)) {
      if (records.length === countMax) break
      const record = queuedRecord(sequence, value, message)
      readBytes += record.bytes
      if (records.length > 0 && readBytes > bytesMax) break
      records.push(record)
    }
    return records
  }

  return {
    read(destinationId, afterSequence, limits) {
      const newest = unread.take(destinationId, afterSequence, limits)
      if (newest !== undefined) return newest
      const records = readFromDisk(destinationId, afterSequence, limits)
      unread.passed(destinationId, records.at(-1)?.sequence ?? afterSequence)
      return records
    },
    oldestAgeMs(destinationId) {
      const [oldest] = queuedAfter(destinationId, 0)
      if (oldest === undefined) return undefined
      const { sequence, value } = oldest
      return ages.ageMs({ sequence, acceptedAtMs: acceptedAtMsOf(value) })
    },
  }
}

/**
 * Of all destinations together. Beyond these bounds the records of the destination that has the
 * most are left to the disk: it is one that does not read them, because it fails.
 */
const unreadBytesMax = 16 * 1024 * 1024
const unreadRecordsMax = 20_000

export interface UnreadRecords {
  /** Adds a record that is durable now. The records of a destination come in order. */
  add(destinationId: number, record: QueuedRecord): void
  /**
   * Reads on after a sequence.
   *
   * @returns undefined when memory does not hold all records after the sequence
   */
  take(destinationId: number, afterSequence: number, limits: ReadLimits): QueuedRecord[] | undefined
  /** Drops the records of a destination up to this sequence: they were read from disk. */
  passed(destinationId: number, sequence: number): void
  /** Drops the records of destinations that no longer exist. */
  forget(destinationIds: readonly number[]): void
}

interface Unread {
  /** `records` holds all records on disk after this sequence. */
  afterSequence: number
  records: QueuedRecord[]
  readonly held: HeldRecords
}

function amountOf({ records, held }: Unread, isByCount: boolean): number {
  return isByCount ? records.length : held.bytes()
}

/** @param lastSequence the last sequence on disk: memory holds no record up to it */
export function createUnreadRecords(lastSequence: number): UnreadRecords {
  const byDestination = new Map<number, Unread>()
  const held = createHeldRecords()

  function drop(unread: Unread, count: number): QueuedRecord[] {
    const dropped = unread.records.splice(0, count)
    unread.afterSequence = dropped.at(-1)?.sequence ?? unread.afterSequence
    for (const record of dropped) {
      held.remove(record)
      unread.held.remove(record)
    }
    return dropped
  }

  /** Drops the records of the destination that has the most of what there is too much of. */
  function dropMost(): void {
    const isByCount = held.count() > unreadRecordsMax
    let most: Unread | undefined
    for (const unread of byDestination.values()) {
      if (most === undefined || amountOf(unread, isByCount) > amountOf(most, isByCount)) {
        most = unread
      }
    }
    if (most !== undefined) drop(most, most.records.length)
  }

  function unreadOf(destinationId: number): Unread {
    const known = byDestination.get(destinationId)
    if (known) return known
    const unread: Unread = {
      afterSequence: lastSequence,
      records: [],
      held: createHeldRecords(),
    }
    byDestination.set(destinationId, unread)
    return unread
  }

  return {
    add(destinationId: number, record: QueuedRecord) {
      const unread = unreadOf(destinationId)
      // It may have been read from disk a moment before it is added here.
      if (record.sequence <= unread.afterSequence) return
      unread.records.push(record)
      held.add(record)
      unread.held.add(record)
      while (held.count() > unreadRecordsMax || held.bytes() > unreadBytesMax) dropMost()
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

/** How many records a read returns: at least the first, even if it is larger than the limit. */
function countWithin(records: readonly QueuedRecord[], { countMax, bytesMax }: ReadLimits): number {
  let bytes = 0
  const end = records.findIndex((record, index) => {
    bytes += record.bytes
    return index === countMax || (index > 0 && bytes > bytesMax)
  })
  return end < 0 ? records.length : end
}

/** Delivered or given-up records whose removal is not on disk yet: reading skips them. */
export interface PendingRemovals {
  has(key: RecordPosition): boolean
  add(records: RecordRemovals): void
  removed(records: RecordRemovals): void
  size(): number
}

/** The producer bounds it: it begins no call while too many removals are pending. */
export function createPendingRemovals(): PendingRemovals {
  const byDestination = new Map<number, Set<number>>()
  let size = 0
  return {
    has: ({ destinationId, sequence }: RecordPosition) =>
      byDestination.get(destinationId)?.has(sequence) === true,
    add({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id) ?? new Set()
      byDestination.set(destination.id, known)
      size -= known.size
      for (const sequence of sequences) known.add(sequence)
      size += known.size
    },
    removed({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id)
      if (known === undefined) return
      size -= known.size
      for (const sequence of sequences) known.delete(sequence)
      size += known.size
      if (known.size === 0) byDestination.delete(destination.id)
    },
    size: () => size,
  }
}
