import type { QueuedRecord } from '../../outbox/outbox.ts'

/** A record on its way, with what happened to it so far. */
export interface Outgoing {
  readonly record: QueuedRecord
  /** Failures in a row that were its own: they make its backoff. */
  readonly attempts: number
  /** All failed calls that it was in, and when the first failed, in epoch milliseconds. */
  readonly failures: number
  readonly firstFailedMs: number
  /** To be sent in a call of its own: one of its former call spoilt that call. */
  readonly alone: boolean
}

/** What returns of a call: to be sent again, not before `dueMs`. */
export interface Returned extends Outgoing {
  readonly dueMs: number
}

export function newOutgoing(record: QueuedRecord): Outgoing {
  return { record, attempts: 0, failures: 0, firstFailedMs: 0, alone: false }
}

/** How many records from the head fit; one at most when the first is to go alone. */
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

/** As Kinesis counts. */
export function payloadBytesOf(outgoing: readonly Outgoing[]): number {
  return outgoing.reduce((sum, { record }) => sum + record.bytes, 0)
}

/** As memory does. */
export function memoryBytesOf(outgoing: readonly Outgoing[]): number {
  return outgoing.reduce((sum, { record }) => sum + record.stored.length, 0)
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
  /** The first record goes even if it is larger. */
  readonly bytesMax: number
}

/** A number of records and their bytes, as Kinesis or as memory counts them. */
export interface Amount {
  readonly records: number
  readonly bytes: number
}

/** A call that is being filled. */
export interface CallBuilder {
  readonly recordsMax: number
  readonly taken: readonly Outgoing[]
  /**
   * How many from the head of `waiting` fit beside what is taken, at most `recordsMax` (1 or more).
   * The first record of a call fits however large it is; one that is to go alone, only there.
   */
  fitting(waiting: readonly Outgoing[], recordsMax: number): number
  take(records: readonly Outgoing[]): void
  /** Nothing more is to be looked at: it is full, or something did not fit. */
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
