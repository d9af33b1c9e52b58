import type { StoredTime } from '../../base/stored-time.ts'

/**
 * The records of one shard, in memory.
 *
 * Format: a list of segments. A segment has one buffer with, for each record, the UTF-8 bytes of
 * the partition key and then the data. Four arrays hold, for each record, the end of its key, the
 * end of the record, and its arrival by the time of day and by the monotonic clock, which
 * determines its age. A record costs its bytes and four numbers, and no object.
 *
 * Invariants: ordinals are dense from 1 (`firstOrdinal` .. `nextOrdinal - 1` are readable); arrival
 * times never decrease, even if the clock goes back; the oldest records go first. Memory is freed
 * by whole segments, and of the first segment when its readable records fill half of it at most.
 */
export interface ShardLog {
  /** Ordinal of the oldest readable record; equals `nextOrdinal` when there is none. */
  firstOrdinal(): number
  /** Ordinal of the next record. */
  nextOrdinal(): number
  /** Adds a record. @returns its ordinal, and its arrival time in epoch milliseconds */
  append(
    partitionKey: string,
    data: Uint8Array,
    wallMs: number,
    monotonicMs: number,
  ): { ordinal: number; arrivalMs: number }
  /** Adds a stored record with its ordinal. After a gap, the earlier records are dropped. */
  restore(
    ordinal: number,
    record: {
      readonly partitionKey: string
      readonly data: Uint8Array
      readonly arrivalMs: number
    },
  ): void
  /** Drops all records; the next one gets this ordinal, which was never assigned before. */
  skipTo(ordinal: number): void
  /** The record of an ordinal; undefined when it was trimmed or does not exist yet. */
  at(ordinal: number): StoredRecord | undefined
  /** Ordinal of the first readable record that arrived at `arrivalMs` or later. */
  firstArrivedSince(arrivalMs: number): number
  /** The bytes of the keys and the data of all records from this ordinal on. */
  bytesSince(ordinal: number): number
  /**
   * Makes records that arrived earlier unreadable, and frees segments without readable records.
   * @param sinceMs by the monotonic clock
   * @returns whether any record became unreadable
   */
  trimBefore(sinceMs: number): boolean
  /** Drops the oldest record, if there is one. */
  dropOldest(): void
  /** The arrival of the oldest readable record, by the monotonic clock. */
  oldestMs(): number | undefined
}

export interface StoredRecord {
  readonly ordinal: number
  /** Epoch milliseconds. */
  readonly arrivalMs: number
  /** The arrival by the monotonic clock. */
  readonly sinceMs: number
  readonly partitionKey: string
  /** A view of the segment, which must not be written to. */
  readonly data: Buffer
  /** The bytes of key and data. */
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

// Segments start small and double, because many shards of a lab have few records. A new segment is
// no larger than the ones that the log has, so that half of the memory is used at least.
const segmentBytesMin = 4 * 1024
const segmentBytesMax = 1024 * 1024
/** Each record has four numbers in the arrays of its segment. */
const indexBytesPerRecord = 4 * 8

/**
 * @param onBytes called with each change of the log's memory, in bytes; negative when it is freed
 * @param storedTime converts the arrival times of restored records
 */
export function createShardLog(onBytes: (delta: number) => void, storedTime: StoredTime): ShardLog {
  const { segments, segmentFor, freeBefore } = createSegments(onBytes)
  let first = 1
  let next = 1
  let lastArrivalMs = 0

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
    freeBefore(Infinity)
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
    bytesSince: (ordinal) => bytesSince(segments, Math.max(ordinal, first)),
    trimBefore(sinceMs) {
      const segment = segments[segmentIndexOf(segments, (s) => (s.sinces[0] ?? 0) < sinceMs)]
      if (!segment) return false
      const trimmed = countWhile(segment.sinces, (since) => since < sinceMs)
      const isTrimmed = segment.firstOrdinal + trimmed > first
      if (isTrimmed) {
        first = segment.firstOrdinal + trimmed
        freeBefore(first)
      }
      return isTrimmed
    },
    dropOldest() {
      if (first === next) return
      first++
      freeBefore(first)
    },
    oldestMs: () =>
      segments[0] ? segments[0].sinces[first - segments[0].firstOrdinal] : undefined,
  }
}

/** The memory of a log: records are added to the last segment, and removed with the first. */
function createSegments(onBytes: (delta: number) => void) {
  const segments: Segment[] = []
  let capacityBytes = 0

  function newSegment(capacity: number, firstOrdinal: number): Segment {
    capacityBytes += capacity
    onBytes(capacity)
    return {
      // Not from Node's pool, so that all of the memory is freed with the segment.
      buffer: Buffer.allocUnsafeSlow(capacity),
      firstOrdinal,
      keyEnds: [],
      ends: [],
      arrivals: [],
      sinces: [],
    }
  }
  function freed(segment: Segment): void {
    capacityBytes -= segment.buffer.length
    onBytes(-(segment.buffer.length + segment.ends.length * indexBytesPerRecord))
  }

  return {
    segments: segments as readonly Segment[],
    /** The segment with room for `sizeBytes`; a new one begins with `firstOrdinal`. */
    segmentFor: (sizeBytes: number, firstOrdinal: number): Segment => {
      const last = segments.at(-1)
      if (last && usedBytes(last) + sizeBytes <= last.buffer.length) return last
      const usual = Math.min(Math.max(capacityBytes, segmentBytesMin), segmentBytesMax)
      const segment = newSegment(Math.max(usual, sizeBytes), firstOrdinal)
      segments.push(segment)
      return segment
    },
    /** Frees the memory that no record from this ordinal on needs. */
    freeBefore: (fromOrdinal: number): void => {
      let [segment] = segments
      while (segment && segment.firstOrdinal + segment.ends.length <= fromOrdinal) {
        segments.shift()
        freed(segment)
        segment = segments[0]
      }
      if (segment) compactFirst(segment, fromOrdinal)
    },
  }

  /** Moves the records from this ordinal on, where that frees half of the segment. */
  function compactFirst(segment: Segment, fromOrdinal: number): void {
    const index = fromOrdinal - segment.firstOrdinal
    const start = segment.ends[index - 1] ?? 0
    const liveBytes = usedBytes(segment) - start
    if (index <= 0 || liveBytes > segment.buffer.length / 2) return
    if (segment.buffer.length <= segmentBytesMin) return
    const moved = newSegment(Math.max(liveBytes, segmentBytesMin), fromOrdinal)
    segment.buffer.copy(moved.buffer, 0, start, start + liveBytes)
    for (let at = index; at < segment.ends.length; at++) {
      moved.keyEnds.push((segment.keyEnds[at] ?? 0) - start)
      moved.ends.push((segment.ends[at] ?? 0) - start)
      moved.arrivals.push(segment.arrivals[at] ?? 0)
      moved.sinces.push(segment.sinces[at] ?? 0)
    }
    onBytes(moved.ends.length * indexBytesPerRecord)
    segments[0] = moved
    freed(segment)
  }
}

function bytesSince(segments: readonly Segment[], ordinal: number): number {
  let bytes = 0
  for (let index = segments.length - 1; index >= 0; index--) {
    const segment = segments[index]
    if (!segment) break
    const before = ordinal - segment.firstOrdinal
    bytes += usedBytes(segment) - (segment.ends[Math.min(before, segment.ends.length) - 1] ?? 0)
    if (before >= 0) break
  }
  return bytes
}

const usedBytes = (segment: Segment) => segment.ends.at(-1) ?? 0

/** Index of the last segment for which `isBefore` is true; -1 when there is none. */
function segmentIndexOf(
  segments: readonly Segment[],
  isBefore: (segment: Segment) => boolean,
): number {
  return countWhile(segments, isBefore) - 1
}

/** The number of leading items for which `holds` is true; it must be false for all others. */
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
