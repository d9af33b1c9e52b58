import { SluiceError, invalidRequest } from '../../base/errors.ts'
import { shardNumberOf, readableRecord } from './stream.ts'
import type { Shard, Stream } from './stream.ts'
import type { StoredRecord } from './shard-log.ts'
import { parseSequenceNumber } from './sequence-number.ts'

/**
 * Records of a stream for people, of one shard or of all of them in the order of their arrival.
 * The limits of reads and fault rules do not apply to it.
 */
export interface RecordQuery {
  /** Absent: all shards. */
  readonly shardId?: string | undefined
  readonly position: RecordPositionType
  /** For AT_TIMESTAMP, in epoch milliseconds. */
  readonly timestampMs?: number | undefined
  /** For AFTER_SEQUENCE_NUMBER; it names its shard. */
  readonly sequenceNumber?: string | undefined
  readonly maxResults: number
  /** From an earlier page; it replaces the position. */
  readonly nextToken?: string | undefined
}

export const recordPositionTypes = [
  'LATEST',
  'TRIM_HORIZON',
  'AT_TIMESTAMP',
  'AFTER_SEQUENCE_NUMBER',
] as const
type RecordPositionType = (typeof recordPositionTypes)[number]

export interface RecordPage {
  readonly records: readonly RecordView[]
  /** There are more records now. */
  readonly nextToken?: string | undefined
  /** As `nextToken`, for records that come later. */
  readonly resumeToken: string
}

interface RecordView {
  readonly shardId: string
  readonly sequenceNumber: string
  readonly partitionKey: string
  /** Epoch milliseconds. */
  readonly arrivalMs: number
  readonly bytes: number
  /** The beginning of the data: at most `shownBytesMax`. */
  readonly data: Uint8Array
}

/** Of one record, and of all records of a page. */
const shownBytesMax = 128 * 1024
const pageBytesMax = 1024 * 1024

/** `<arrivalMs>.<shard number>.<ordinal>`: the record after which a page begins. */
export const recordTokenPattern = '^[0-9]{1,15}\\.(-1|[0-9]{1,10})\\.[0-9]{1,16}$'

interface Place {
  readonly arrivalMs: number
  readonly shardNumber: number
  readonly ordinal: number
}

interface Cursor {
  readonly shard: Shard
  record: StoredRecord | undefined
}

/**
 * @param nowMs the time of day
 * @throws SluiceError ResourceNotFoundException for a shard that is not there,
 *   InvalidRequestException for a position that is incomplete
 */
export function readRecordPage(stream: Stream, query: RecordQuery, nowMs: number): RecordPage {
  const shards = shardsOf(stream, query)
  const endMs = shards.length > 1 ? mergedEndMs(shards, nowMs) : Infinity
  if (query.position === 'LATEST' && query.nextToken === undefined) {
    return newest(shards, query, endMs)
  }
  const start = startOf(stream, query)
  const cursors = shards.map((shard) => ({ shard, record: recordAfter(shard, start) }))
  const found: { shard: Shard; record: StoredRecord }[] = []
  let last = start
  let bytes = 0
  for (;;) {
    const next = earliest(cursors)
    if (!next?.record || next.record.arrivalMs >= endMs) return pageOf(found, last, false)
    const { shard, record } = next
    bytes += Math.min(record.data.length, shownBytesMax)
    const isFull = found.length >= query.maxResults || (bytes > pageBytesMax && found.length > 0)
    if (isFull) return pageOf(found, last, true)
    found.push({ shard, record })
    last = placeOf(shard, record)
    next.record = readableRecord(shard, record.ordinal + 1)
  }
}

/** A sequence number names its shard. */
function shardsOf(stream: Stream, query: RecordQuery): readonly Shard[] {
  if (query.shardId !== undefined) return [existingShard(stream, query.shardId)]
  if (query.position !== 'AFTER_SEQUENCE_NUMBER') return stream.shards
  const { shardNumber } = placeAfter(stream, query.sequenceNumber)
  return stream.shards.filter(({ number }) => number === shardNumber)
}

/**
 * The end of what is merged. A record that another shard got in this millisecond, or that is not
 * on disk yet, may stand before one that can be read already: it would be missed by the next page.
 */
function mergedEndMs(shards: readonly Shard[], nowMs: number): number {
  const waiting = shards.map(({ log, readableEnd }) => log.at(readableEnd)?.arrivalMs ?? Infinity)
  return Math.min(nowMs, ...waiting)
}

function newest(shards: readonly Shard[], { maxResults }: RecordQuery, endMs: number): RecordPage {
  const cursors: Cursor[] = shards.map((shard) => ({
    shard,
    record: lastBefore(shard, shard.readableEnd, endMs),
  }))
  const found: { shard: Shard; record: StoredRecord }[] = []
  let bytes = 0
  while (found.length < maxResults) {
    const next = latest(cursors)
    if (!next?.record) break
    const { shard, record } = next
    bytes += Math.min(record.data.length, shownBytesMax)
    if (bytes > pageBytesMax && found.length > 0) break
    found.unshift({ shard, record })
    next.record = readableRecord(shard, record.ordinal - 1)
  }
  const end = found.at(-1)
  return pageOf(found, end ? placeOf(end.shard, end.record) : firstPlace, false)
}

const firstPlace: Place = { arrivalMs: 0, shardNumber: -1, ordinal: 0 }

function lastBefore(shard: Shard, end: number, endMs: number): StoredRecord | undefined {
  let ordinal = end - 1
  let record = readableRecord(shard, ordinal)
  while (record && record.arrivalMs >= endMs) record = readableRecord(shard, --ordinal)
  return record
}

function startOf(stream: Stream, query: RecordQuery): Place {
  if (query.nextToken !== undefined) {
    const [arrivalMs = 0, shardNumber = 0, ordinal = 0] = query.nextToken.split('.').map(Number)
    return { arrivalMs, shardNumber, ordinal }
  }
  if (query.position === 'AT_TIMESTAMP') {
    if (query.timestampMs === undefined) throw invalidRequest('AT_TIMESTAMP needs timestampMs')
    return { ...firstPlace, arrivalMs: query.timestampMs }
  }
  if (query.position === 'AFTER_SEQUENCE_NUMBER') return placeAfter(stream, query.sequenceNumber)
  return firstPlace
}

function placeAfter(stream: Stream, given: string | undefined): Place {
  if (given === undefined) throw invalidRequest('AFTER_SEQUENCE_NUMBER needs sequenceNumber')
  const parts = parseSequenceNumber(given)
  const shard = stream.shards.find(({ number }) => number === parts?.shardNumber)
  if (!parts || !shard || shard.createdMs !== parts.shardCreatedMs) {
    throw invalidRequest(`the stream ${stream.name} has not assigned the sequence number ${given}`)
  }
  return parts
}

/** The first record of the shard behind a place in the order of arrival, shard and ordinal. */
function recordAfter(shard: Shard, after: Place): StoredRecord | undefined {
  let ordinal = shard.log.firstArrivedSince(after.arrivalMs)
  let record = readableRecord(shard, ordinal)
  while (record && comparePlaces(placeOf(shard, record), after) <= 0) {
    record = readableRecord(shard, ++ordinal)
  }
  return record
}

const earliest = (cursors: readonly Cursor[]) => best(cursors, -1)
const latest = (cursors: readonly Cursor[]) => best(cursors, 1)

function best(cursors: readonly Cursor[], sign: 1 | -1): Cursor | undefined {
  let found: Cursor | undefined
  for (const cursor of cursors) {
    const { shard, record } = cursor
    if (!record) continue
    const isBetter =
      !found?.record ||
      comparePlaces(placeOf(shard, record), placeOf(found.shard, found.record)) * sign > 0
    if (isBetter) found = cursor
  }
  return found
}

const placeOf = ({ number }: Shard, { arrivalMs, ordinal }: StoredRecord): Place => ({
  arrivalMs,
  shardNumber: number,
  ordinal,
})

const comparePlaces = (left: Place, right: Place) =>
  left.arrivalMs - right.arrivalMs ||
  left.shardNumber - right.shardNumber ||
  left.ordinal - right.ordinal

function pageOf(
  found: readonly { shard: Shard; record: StoredRecord }[],
  { arrivalMs, shardNumber, ordinal }: Place,
  hasMore: boolean,
): RecordPage {
  const resumeToken = `${arrivalMs}.${shardNumber}.${ordinal}`
  return {
    records: found.map(({ shard, record }) => ({
      shardId: shard.id,
      sequenceNumber: shard.sequenceNumber(record.ordinal, record.arrivalMs),
      partitionKey: record.partitionKey,
      arrivalMs: record.arrivalMs,
      bytes: record.data.length,
      // A copy: the log may free its memory before the answer has gone to another thread.
      data: Uint8Array.prototype.slice.call(record.data, 0, shownBytesMax),
    })),
    ...(hasMore && { nextToken: resumeToken }),
    resumeToken,
  }
}

function existingShard(stream: Stream, shardId: string): Shard {
  const number = shardNumberOf(shardId)
  const shard = stream.shards.find((candidate) => candidate.number === number)
  if (shard) return shard
  const message = `the stream ${stream.name} has no shard ${shardId}`
  throw new SluiceError('ResourceNotFoundException', message)
}
