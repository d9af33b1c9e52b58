/**
 * The records of one shard, in memory.
 *
 * Format: a list of segments. A segment is one buffer that holds, record after record, the UTF-8
 * bytes of the partition key and then the data; beside it stand three arrays with, per record,
 * where the key ends, where the record ends, and when it arrived. So a record costs its bytes and
 * three numbers, and no object of its own.
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
    nowMs: number,
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
   * Makes what arrived before `arrivalMs` unreadable, and frees the segments that are empty then.
   * @returns whether there was any
   */
  trimBefore(arrivalMs: number): boolean
  /** Frees the oldest segment with all its records, if there is one. */
  dropOldestSegment(): void
  /** When the oldest segment began, in epoch milliseconds; undefined when nothing is held. */
  oldestSegmentMs(): number | undefined
}

export interface StoredRecord {
  readonly ordinal: number
  readonly arrivalMs: number
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
}

// Segments start small, because a lab has many shards that hardly hold anything, and double.
const segmentBytesMin = 4 * 1024
const segmentBytesMax = 1024 * 1024
/** Three numbers a record in the arrays of a segment. */
const indexBytesPerRecord = 3 * 8

/**
 * @param onBytes told of each change of the memory that the log takes, in bytes (negative: freed)
 */
export function createShardLog(onBytes: (delta: number) => void): ShardLog {
  const { segments, segmentFor, shift } = createSegments(onBytes)
  let first = 1
  let next = 1
  let lastArrivalMs = 0

  function removeOldest(): void {
    const removed = shift()
    if (removed) first = Math.max(first, removed.firstOrdinal + removed.ends.length)
  }

  function append(partitionKey: string, data: Uint8Array, nowMs: number) {
    lastArrivalMs = Math.max(nowMs, lastArrivalMs)
    const arrivalMs = lastArrivalMs
    const segment = segmentFor(Buffer.byteLength(partitionKey) + data.length, next)
    const start = usedBytes(segment)
    const keyEnd = start + segment.buffer.write(partitionKey, start)
    segment.buffer.set(data, keyEnd)
    segment.keyEnds.push(keyEnd)
    segment.ends.push(keyEnd + data.length)
    segment.arrivals.push(arrivalMs)
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
      append(partitionKey, data, arrivalMs)
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
    trimBefore(arrivalMs) {
      const before = first
      let oldest = segments[0]
      while (oldest && (oldest.arrivals.at(-1) ?? 0) < arrivalMs) {
        removeOldest()
        oldest = segments[0]
      }
      if (oldest && (oldest.arrivals[0] ?? 0) < arrivalMs) {
        const trimmed = countWhile(oldest.arrivals, (arrival) => arrival < arrivalMs)
        first = Math.max(first, oldest.firstOrdinal + trimmed)
      }
      return first > before
    },
    dropOldestSegment: removeOldest,
    oldestSegmentMs: () => segments[0]?.arrivals[0],
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
  if (keyEnd === undefined || end === undefined || arrivalMs === undefined) return undefined
  const start = index === 0 ? 0 : (segment.ends[index - 1] ?? 0)
  return {
    ordinal,
    arrivalMs,
    partitionKey: segment.buffer.toString('utf8', start, keyEnd),
    data: segment.buffer.subarray(keyEnd, end),
    sizeBytes: end - start,
  }
}
