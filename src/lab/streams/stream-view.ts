import type { Redaction } from '../../redaction/redaction.ts'
import { endingSequenceNumber } from './stream.ts'
import type { Shard, Stream } from './stream.ts'

/** What people see of a stream of the lab. It is computed from the records when somebody asks. */
export interface StreamView {
  readonly streamName: string
  readonly streamArn: string
  readonly status: string
  readonly mode: string
  readonly retentionHours: number
  readonly openShards: number
  readonly closedShards: number
  /** Records that can be read. */
  readonly records: number
  readonly load: Load
}

export interface StreamWithShards extends StreamView {
  readonly shards: readonly ShardView[]
}

/** What was written to a shard or a stream in the last minute. */
interface Load {
  readonly records: number
  readonly bytes: number
  /** Of the fullest second. */
  readonly recordsInSecondMax: number
  readonly bytesInSecondMax: number
}

interface ShardView {
  readonly shardId: string
  readonly isOpen: boolean
  readonly parentShardIds: readonly string[]
  /** Decimal numbers from 0 to 2^128 - 1. */
  readonly startingHashKey: string
  readonly endingHashKey: string
  /** Of a closed shard: it belongs to no record. */
  readonly endingSequenceNumber?: string | undefined
  readonly records: number
  readonly load: Load
  readonly hottestKeys: readonly HotKey[]
  /** The records in which the hottest keys were counted. */
  readonly countedRecords: number
}

interface HotKey {
  readonly partitionKey: string
  readonly records: number
  readonly bytes: number
}

interface OpenShard {
  readonly shardId: string
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
}

const secondMs = 1_000
const seconds = 60
const hottestMax = 5
/** Keys are counted in the newest records of the last minute: so many of a shard, of a stream. */
const countedOfShardMax = 5_000
const countedOfStreamMax = 100_000

/** @param nowMs the time of day */
export function viewOfStream(stream: Stream, nowMs: number): StreamView {
  const loads = stream.shards.map((shard) => loadOf(shard, nowMs))
  return summaryOf(stream, loads)
}

/**
 * @param nowMs the time of day
 * @param redaction of partition keys, which come from the data of their records
 */
export function viewWithShards(
  stream: Stream,
  nowMs: number,
  redaction?: Redaction,
): StreamWithShards {
  const shards = viewOfShards(stream, nowMs, redaction)
  const loads = shards.map(({ load }) => load)
  return { ...summaryOf(stream, loads), shards }
}

export const openShardsOf = ({ openShards }: Stream): readonly OpenShard[] =>
  openShards.map(({ id, startingHashKey, endingHashKey }) => ({
    shardId: id,
    startingHashKey,
    endingHashKey,
  }))

function summaryOf(stream: Stream, loads: readonly Load[]): StreamView {
  return {
    streamName: stream.name,
    streamArn: stream.arn,
    status: stream.status,
    mode: stream.mode,
    retentionHours: stream.retentionHours,
    openShards: stream.openShards.length,
    closedShards: stream.shards.length - stream.openShards.length,
    records: stream.shards.reduce((sum, shard) => sum + recordsOf(shard), 0),
    load: sumOf(loads),
  }
}

function viewOfShards(
  stream: Stream,
  nowMs: number,
  redaction: Redaction | undefined,
): readonly ShardView[] {
  const countedMax = Math.min(
    countedOfShardMax,
    Math.ceil(countedOfStreamMax / Math.max(1, stream.shards.length)),
  )
  return stream.shards.map((shard) => ({
    shardId: shard.id,
    isOpen: shard.closedMs === undefined,
    parentShardIds: shard.parentIds,
    startingHashKey: String(shard.startingHashKey),
    endingHashKey: String(shard.endingHashKey),
    endingSequenceNumber: endingSequenceNumber(shard),
    records: recordsOf(shard),
    load: loadOf(shard, nowMs),
    ...hottestOf(shard, nowMs, countedMax, redaction),
  }))
}

const recordsOf = ({ log, readableEnd }: Shard) => Math.max(0, readableEnd - log.firstOrdinal())

/** Nothing is counted when a record is written: the log knows when its records arrived. */
function loadOf({ log }: Shard, nowMs: number): Load {
  const sinceMs = nowMs - seconds * secondMs
  let from = log.firstArrivedSince(sinceMs)
  const records = log.nextOrdinal() - from
  const load = { records, bytes: 0, recordsInSecondMax: 0, bytesInSecondMax: 0 }
  if (records === 0) return load
  let left = log.bytesSince(from)
  load.bytes = left
  for (let second = 1; second <= seconds; second++) {
    // Arrivals of this very millisecond belong to the last second.
    const isLast = second === seconds
    const end = isLast ? log.nextOrdinal() : log.firstArrivedSince(sinceMs + second * secondMs)
    const leftThen = isLast ? 0 : log.bytesSince(end)
    load.recordsInSecondMax = Math.max(load.recordsInSecondMax, end - from)
    load.bytesInSecondMax = Math.max(load.bytesInSecondMax, left - leftThen)
    from = end
    left = leftThen
  }
  return load
}

/** The fullest seconds of shards need not be the same one, so their sum is an upper bound. */
function sumOf(loads: readonly Load[]): Load {
  const sum = (member: keyof Load) => loads.reduce((total, load) => total + load[member], 0)
  return {
    records: sum('records'),
    bytes: sum('bytes'),
    recordsInSecondMax: sum('recordsInSecondMax'),
    bytesInSecondMax: sum('bytesInSecondMax'),
  }
}

function hottestOf(
  { log }: Shard,
  nowMs: number,
  countedMax: number,
  redaction: Redaction | undefined,
): Pick<ShardView, 'hottestKeys' | 'countedRecords'> {
  const end = log.nextOrdinal()
  const from = Math.max(log.firstArrivedSince(nowMs - seconds * secondMs), end - countedMax)
  const keys = new Map<string, { records: number; bytes: number; readonly data: Uint8Array }>()
  for (let ordinal = from; ordinal < end; ordinal++) {
    const record = log.at(ordinal)
    if (!record) continue
    const known = keys.get(record.partitionKey)
    if (known) {
      known.records += 1
      known.bytes += record.sizeBytes
    } else {
      const { partitionKey, data, sizeBytes: bytes } = record
      keys.set(partitionKey, { records: 1, bytes, data })
    }
  }
  const hottestKeys = [...keys]
    .toSorted(([, left], [, right]) => right.records - left.records || right.bytes - left.bytes)
    .slice(0, hottestMax)
    .map(([partitionKey, { data, ...counts }]) => ({
      partitionKey: redaction?.of(data).text(partitionKey) ?? partitionKey,
      ...counts,
    }))
  return { hottestKeys, countedRecords: Math.max(0, end - from) }
}
