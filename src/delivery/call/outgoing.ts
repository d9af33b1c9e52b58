import type { QueuedRecord } from '../../outbox/outbox.ts'

/** A record in memory on its way to the stream, with its failures so far. */
export interface Outgoing {
  readonly record: QueuedRecord
  /** The record's own failures in a row, which determine its delay. */
  readonly attempts: number
  /** All failed calls that held the record; the first failed at this time (epoch milliseconds). */
  readonly failures: number
  readonly firstFailedMs: number
  /** The record must be sent in a call of its own, because a record of its last call spoilt it. */
  readonly alone: boolean
}

/** A record that returns from a call, to be sent again no earlier than `dueMs` (monotonic). */
export interface Returned extends Outgoing {
  readonly dueMs: number
}

export function newOutgoing(record: QueuedRecord): Outgoing {
  return { record, attempts: 0, failures: 0, firstFailedMs: 0, alone: false }
}

/** How many records from the head fit; at most one when the first must go alone. */
export function countThatFits(
  waiting: readonly Outgoing[],
  recordsMax: number,
  bytesMax: number,
): number {
  let bytes = 0
  for (const [index, { record, alone }] of waiting.entries()) {
    bytes += record.bytes
    if (index >= recordsMax || bytes > bytesMax) return index
    if (alone) return Math.max(1, index)
  }
  return waiting.length
}

/** Bytes of payload, as Kinesis counts them: data and partition key. */
export function payloadBytesOf(outgoing: readonly Outgoing[]): number {
  return outgoing.reduce((sum, { record }) => sum + record.bytes, 0)
}

export function listIn<Key, Item>(lists: Map<Key, Item[]>, key: Key): Item[] {
  const known = lists.get(key)
  if (known) return known
  const list: Item[] = []
  lists.set(key, list)
  return list
}

export interface CallLimits {
  readonly recordsMax: number
  /** The first record of a call may be larger. */
  readonly bytesMax: number
}

/** A number of records and their bytes, either of payload or of memory. */
export interface Amount {
  readonly records: number
  readonly bytes: number
}

/** Collects the records of one call. */
export interface CallBuilder {
  readonly recordsMax: number
  readonly taken: readonly Outgoing[]
  /**
   * How many records from the head of `waiting` fit beside the taken ones, at most `recordsMax` (1
   * or more). The first record of a call fits whatever its size. A record that must go alone fits
   * only as the first.
   */
  fitting(waiting: readonly Outgoing[], recordsMax: number): number
  take(records: readonly Outgoing[]): void
  /** True when the call is full or a record did not fit: no further record is to be looked at. */
  isClosed(): boolean
}

export function createCallBuilder(limits: CallLimits): CallBuilder {
  const taken: Outgoing[] = []
  let roomBytes = limits.bytesMax
  let closed = false
  return {
    recordsMax: limits.recordsMax,
    taken,
    fitting(waiting, recordsMax) {
      if (taken.length === 0) return Math.max(1, fitting(waiting, recordsMax))
      if (waiting[0]?.alone === true) return 0
      const count = fitting(waiting, recordsMax)
      closed ||= count === 0
      return count
    },
    take(records) {
      for (const record of records) taken.push(record)
      roomBytes -= payloadBytesOf(records)
      closed ||= records[0]?.alone === true || taken.length >= limits.recordsMax
    },
    isClosed: () => closed,
  }

  function fitting(waiting: readonly Outgoing[], recordsMax: number): number {
    const countMax = Math.min(recordsMax, limits.recordsMax - taken.length)
    return countThatFits(waiting, countMax, roomBytes)
  }
}
