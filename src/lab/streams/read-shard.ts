import { encryptionAt, encryptionMember, isAtShardEnd, readableRecord } from './stream.ts'
import type { Shard } from './stream.ts'
import type { WireFormat } from '../wire/wire-format.ts'

interface ShardReadLimits {
  readonly recordsMax: number
  /** A single larger record is still returned. */
  readonly bytesMax: number
}

interface ShardSlice {
  /** Records in the form of the API. */
  readonly records: readonly object[]
  readonly sizeBytes: number
  readonly nextOrdinal: number
}

/** Reads records of a shard from an ordinal on, as many as the limits allow. */
export function readShard(
  shard: Shard,
  ordinal: number,
  { recordsMax, bytesMax }: ShardReadLimits,
  wire: WireFormat,
): ShardSlice {
  const records: object[] = []
  let sizeBytes = 0
  let nextOrdinal = Math.max(ordinal, shard.log.firstOrdinal())
  while (records.length < recordsMax) {
    const record = readableRecord(shard, nextOrdinal)
    if (!record) break
    if (sizeBytes + record.sizeBytes > bytesMax && records.length > 0) break
    sizeBytes += record.sizeBytes
    records.push({
      SequenceNumber: shard.sequenceNumber(record.ordinal, record.arrivalMs),
      ApproximateArrivalTimestamp: wire.time(record.arrivalMs),
      Data: wire.blob(record.data),
      // A record without a key is of a stream that distributes its records by itself.
      ...(record.partitionKey === '' ? undefined : { PartitionKey: record.partitionKey }),
      ...encryptionMember(encryptionAt(shard, record.ordinal)),
    })
    nextOrdinal++
  }
  return { records, sizeBytes, nextOrdinal }
}

/**
 * The age of the oldest unread record; 0 only when there is none.
 * @param nowMs by the monotonic clock
 */
export function millisBehindLatest(shard: Shard, nextOrdinal: number, nowMs: number): number {
  const waiting = readableRecord(shard, nextOrdinal)
  return waiting ? Math.max(1, Math.round(nowMs - waiting.sinceMs)) : 0
}

/** The API's ChildShards when the shard is closed and read to its end; otherwise undefined. */
export function childShardsOf(shard: Shard, nextOrdinal: number): readonly object[] | undefined {
  if (!isAtShardEnd(shard, nextOrdinal)) return undefined
  return shard.children.map((child) => ({
    ShardId: child.id,
    ParentShards: child.parentIds,
    HashKeyRange: hashKeyRangeOf(child),
  }))
}

export const hashKeyRangeOf = (shard: Shard) => ({
  StartingHashKey: String(shard.startingHashKey),
  EndingHashKey: String(shard.endingHashKey),
})
