import { encryptionAt, isAtShardEnd } from './stream.ts'
import type { Shard } from './stream.ts'
import type { WireFormat } from '../wire/wire-format.ts'

interface ReadLimits {
  readonly recordsMax: number
  /** A single record may be larger: one is given at least, if there is one. */
  readonly bytesMax: number
}

interface ShardRead {
  /** In the form of the API's Record. */
  readonly records: readonly object[]
  readonly sizeBytes: number
  readonly nextOrdinal: number
}

/** The records of a shard from an ordinal on, as many as the limits allow. */
export function readShard(
  shard: Shard,
  ordinal: number,
  { recordsMax, bytesMax }: ReadLimits,
  wire: WireFormat,
): ShardRead {
  const records: object[] = []
  let sizeBytes = 0
  let nextOrdinal = Math.max(ordinal, shard.log.firstOrdinal())
  while (records.length < recordsMax) {
    const record = shard.log.at(nextOrdinal)
    if (!record) break
    if (sizeBytes + record.sizeBytes > bytesMax && records.length > 0) break
    sizeBytes += record.sizeBytes
    records.push({
      SequenceNumber: shard.sequenceNumber(record.ordinal, record.arrivalMs),
      ApproximateArrivalTimestamp: wire.time(record.arrivalMs),
      Data: wire.blob(record.data),
      PartitionKey: record.partitionKey,
      EncryptionType: encryptionAt(shard, record.ordinal),
    })
    nextOrdinal++
  }
  return { records, sizeBytes, nextOrdinal }
}

/**
 * Age of the oldest record not read yet; 0 only when there is none.
 * @param nowMs by the monotonic clock
 */
export function millisBehindLatest(shard: Shard, nextOrdinal: number, nowMs: number): number {
  const waiting = shard.log.at(nextOrdinal)
  return waiting ? Math.max(1, Math.round(nowMs - waiting.sinceMs)) : 0
}

/** The API's ChildShards: what takes over from a shard that is read to its end; else undefined. */
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
