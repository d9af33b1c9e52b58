import type { StoredTime } from '../../base/stored-time.ts'

/**
 * The records of one shard, in memory.
 *
 * Format: a list of segments. A segment is one buffer that holds, record after record, the UTF-8
 * bytes of the partition key and then the data; beside it stand four arrays with, per record, where
 * the key ends, where the record ends, and when it arrived: by the time of day, and by the monotonic
 * clock, which its age goes by. So a record costs its bytes and four numbers, and no object of its
 * own.
 *
 * Invariants: ordinals are dense from 1 (`firstOrdinal` .. `nextOrdinal - 1` are readable); arrival
 * times never decrease, whatever the clock does; memory is given back by whole segments, the
 * oldest first.
 */
export interface ShardLog {
  /** Ordinal of the oldest readable record; equals `nextOrdinal` when there is none. */
  firstOrdinal(): number
  /** Ordinal that the next record will have. */
  nextOrdinal(): number
  /** Adds a record; gives its ordinal and its arrival time in epoch milliseconds. */
  append(
    partitionKey: string,
    data: Uint8Array,
    wallMs: number,
    monotonicMs: number,
  ): { ordinal: number; arrivalMs: number }
  /** Adds a record that has its ordinal, which follows or leaves a gap behind what is forgotten. */
  restore(
    ordinal: number,
    record: {
      readonly partitionKey: string
      readonly data: Uint8Array
      readonly arrivalMs: number
    },
  ): void
  /** Forgets everything: the next record has this ordinal, which is none that was given before. */
  skipTo(ordinal: number): void
  /** The record of an ordinal; undefined when it was trimmed or is not written yet. */
  at(ordinal: number): StoredRecord | undefined
  /** Ordinal of the first readable record that arrived at `arrivalMs` or later. */
  firstArrivedSince(arrivalMs: number): number
  /**
   * Makes what arrived before unreadable, and frees the segments that are empty then.
   * @param sinceMs by the monotonic clock
   * @returns whether there was any
   */
  trimBefore(sinceMs: number): boolean
  /** Frees the oldest segment with all its records, if there is one. */
  dropOldestSegment(): void
  /** When the oldest segment began, by the monotonic clock; undefined when nothing is held. */
  oldestSegmentMs(): number | undefined
}

export interface StoredRecord {
  readonly ordinal: number
  /** Epoch milliseconds. */
  readonly arrivalMs: number
  /** When it arrived, by the monotonic clock. */
  readonly sinceMs: number
  readonly partitionKey: string
  /** A view: it is valid as long as somebody holds it, and must not be written to. */
  readonly data: Buffer
  /** Bytes of key and data. */
  readonly sizeBytes: number
}

interface Segment {
  readonly buffer: Buffer
  readonly firstOrdinal: number
  readonly keyEnds: number[]
  readonly ends: number[]
  readonly arrivals: number[]
  readonly sinces: number[]
}

// Segments start small, because a lab has many shards that hardly hold anything, and double.
const segmentBytesMin = 4 * 1024
const segmentBytesMax = 1024 * 1024
/** Four numbers a record in the arrays of a segment. */
const indexBytesPerRecord = 4 * 8

/**
 * @param onBytes told of each change of the memory that the log takes, in bytes (negative: freed)
 * @param storedTime when records that are restored arrived
 */
export function createShardLog(onBytes: (delta: number) => void, storedTime: StoredTime): ShardLog {
  const { segments, segmentFor, shift } = createSegments(onBytes)
  let first = 1
  let next = 1
  let lastArrivalMs = 0

  function removeOldest(): void {
    const removed = shift()
    if (removed) first = Math.max(first, removed.firstOrdinal + removed.ends.length)
  }

  function append(partitionKey: string, data: Uint8Array, wallMs: number, monotonicMs: number) {
    lastArrivalMs = Math.max(wallMs, lastArrivalMs)
    const arrivalMs = lastArrivalMs
    const segment = segmentFor(Buffer.byteLength(partitionKey) + data.length, next)
    const start = usedBytes(segment)
    const keyEnd = start + segment.buffer.write(partitionKey, start)
    segment.buffer.set(data, keyEnd)
    segment.keyEnds.push(keyEnd)
    segment.ends.push(keyEnd + data.length)
    segment.arrivals.push(arrivalMs)
    segment.sinces.push(monotonicMs)
    onBytes(indexBytesPerRecord)
    return { ordinal: next++, arrivalMs }
  }

  function skipTo(ordinal: number): void {
    while (segments.length > 0) removeOldest()
    first = ordinal
    next = ordinal
  }

  return {
    firstOrdinal: () => first,
    nextOrdinal: () => next,
    append,
    restore(ordinal, { partitionKey, data, arrivalMs }) {
      if (ordinal !== next) skipTo(ordinal)
      append(partitionKey, data, arrivalMs, storedTime(arrivalMs))
    },
    skipTo,
    at(ordinal) {
      if (ordinal < first || ordinal >= next) return undefined
      const segment = segments[segmentIndexOf(segments, (s) => s.firstOrdinal <= ordinal)]
      return segment && recordOf(segment, ordinal)
    },
    firstArrivedSince(arrivalMs) {
      const index = segmentIndexOf(segments, (s) => (s.arrivals[0] ?? 0) < arrivalMs)
      const segment = segments[Math.max(index, 0)]
      if (!segment) return next
      const offset = countWhile(segment.arrivals, (arrival) => arrival < arrivalMs)
      return Math.max(first, segment.firstOrdinal + offset)
    },
    trimBefore(sinceMs) {
      const before = first
      let oldest = segments[0]
      while (oldest && (oldest.sinces.at(-1) ?? 0) < sinceMs) {
        removeOldest()
        oldest = segments[0]
      }
      if (oldest && (oldest.sinces[0] ?? 0) < sinceMs) {
        const trimmed = countWhile(oldest.sinces, (since) => since < sinceMs)
        first = Math.max(first, oldest.firstOrdinal + trimmed)
      }
      return first > before
    },
    dropOldestSegment: removeOldest,
    oldestSegmentMs: () => segments[0]?.sinces[0],
  }
}

/** The memory of a log: records are added to the last segment, and go with the first. */
function createSegments(onBytes: (delta: number) => void) {
  const segments: Segment[] = []
  let segmentBytes = segmentBytesMin
  return {
    segments: segments as readonly Segment[],
    /** The segment that takes so many bytes more; a new one begins with that ordinal. */
    segmentFor: (sizeBytes: number, firstOrdinal: number): Segment => {
      const last = segments.at(-1)
      if (last && usedBytes(last) + sizeBytes <= last.buffer.length) return last
      const capacity = Math.max(segmentBytes, sizeBytes)
      segmentBytes = Math.min(segmentBytes * 2, segmentBytesMax)
      const segment: Segment = {
        // Not from Node's pool: the whole memory goes when the segment does.
        buffer: Buffer.allocUnsafeSlow(capacity),
        firstOrdinal,
        keyEnds: [],
        ends: [],
        arrivals: [],
        sinces: [],
      }
      segments.push(segment)
      onBytes(capacity)
      return segment
    },
    shift: (): Segment | undefined => {
      const removed = segments.shift()
      if (removed) onBytes(-(removed.buffer.length + removed.ends.length * indexBytesPerRecord))
      return removed
    },
  }
}

const usedBytes = (segment: Segment) => segment.ends.at(-1) ?? 0

/** Index of the last segment that `isBefore` holds for; -1 when it holds for none. */
function segmentIndexOf(
  segments: readonly Segment[],
  isBefore: (segment: Segment) => boolean,
): number {
  return countWhile(segments, isBefore) - 1
}

/** How many leading items `holds` is true for; it must not become true again after a false. */
function countWhile<Item>(items: readonly Item[], holds: (item: Item) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && holds(item)) low = middle + 1
    else high = middle
  }
  return low
}

function recordOf(segment: Segment, ordinal: number): StoredRecord | undefined {
  const index = ordinal - segment.firstOrdinal
  const keyEnd = segment.keyEnds[index]
  const end = segment.ends[index]
  const arrivalMs = segment.arrivals[index]
  const sinceMs = segment.sinces[index]
  if (keyEnd === undefined || end === undefined) return undefined
  if (arrivalMs === undefined || sinceMs === undefined) return undefined
  const start = index === 0 ? 0 : (segment.ends[index - 1] ?? 0)
  return {
    ordinal,
    arrivalMs,
    sinceMs,
    partitionKey: segment.buffer.toString('utf8', start, keyEnd),
    data: segment.buffer.subarray(keyEnd, end),
    sizeBytes: end - start,
  }
}
