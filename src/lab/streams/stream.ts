import { hashKeyOf } from '../../base/hash-key.ts'
import type { Consumer } from './fan-out-consumer.ts'
import type { ShardLimits } from './shard-limits.ts'
import type { ShardLog, StoredRecord } from './shard-log.ts'

/**
 * A stream of the lab, as the operations see it. It changes in place, and only the store
 * (streams.ts) and the operations that are about a member change that member.
 *
 * Invariants: the ranges of `openShards` are sorted, leave no gap and do not overlap; a shard is
 * open or has its children; `shards` is sorted by number, and shards that expired are not in it.
 */
export interface Stream {
  readonly name: string
  readonly arn: string
  /** Epoch milliseconds, different for each stream of a server: it also tells namesakes apart. */
  readonly createdMs: number
  readonly tags: Map<string, string>
  /** By name. */
  readonly consumers: Map<string, Consumer>
  /** The number at the end of the ARN of the last consumer that was deregistered. */
  lastConsumerSeconds: number
  status: StreamStatus
  mode: StreamMode
  /** Open and closed. */
  shards: readonly Shard[]
  openShards: readonly Shard[]
  /** Shards that there ever were: the number of the next one. */
  shardsMade: number
  maxRecordSizeInKiB: number
  retentionHours: number
  /** Absent: what is written is not encrypted. Nothing is, really: it is only reported. */
  encryptionKeyId: string | undefined
  /** Sorted. */
  shardLevelMetrics: readonly string[]
}

export type StreamStatus = 'CREATING' | 'ACTIVE' | 'UPDATING' | 'DELETING'
export type StreamMode = 'PROVISIONED' | 'ON_DEMAND'

export interface Shard {
  readonly number: number
  /** `shardId-` and the number in twelve digits. */
  readonly id: string
  readonly createdMs: number
  /** None for the first shards of a stream, one after a split, two after a merge. */
  readonly parentIds: readonly string[]
  /** Both ends belong to the shard. */
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  readonly log: ShardLog
  readonly limits: ShardLimits
  /** Called, in the same turn, when there is something new to read or the shard is closed. */
  readonly watchers: Set<() => void>
  /** From which ordinal on the records were written to an encrypted stream, or no more. */
  readonly encryptions: EncryptionChange[]
  /** Absent: the shard is open. */
  closedMs: number | undefined
  /** The same by the monotonic clock, which goes by how long it has been closed. */
  closedSinceMs: number | undefined
  children: readonly Shard[]
  sequenceNumber(ordinal: number, arrivalMs: number): string
}

export interface EncryptionChange {
  readonly fromOrdinal: number
  readonly isEncrypted: boolean
}

type EncryptionType = 'KMS' | 'NONE'

/** What the stream does with what is written to it now. */
export const encryptionOf = (stream: Stream): EncryptionType =>
  stream.encryptionKeyId === undefined ? 'NONE' : 'KMS'

/** How a record was written. */
export function encryptionAt(shard: Shard, ordinal: number): EncryptionType {
  const change = shard.encryptions.findLast(({ fromOrdinal }) => fromOrdinal <= ordinal)
  return change?.isEncrypted ? 'KMS' : 'NONE'
}

/** The open shard whose range holds the hash key of a record: of its partition key, or explicit. */
export function shardFor(stream: Stream, partitionKey: string, explicitHashKey?: bigint): Shard {
  const hashKey = explicitHashKey ?? hashKeyOf(partitionKey)
  const shards = stream.openShards
  let low = 0
  let high = shards.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((shards[middle]?.startingHashKey ?? 0n) <= hashKey) low = middle
    else high = middle - 1
  }
  const shard = shards[low]
  if (!shard) throw new Error(`stream ${stream.name} has no open shard`)
  return shard
}

/** Every readable record of a shard, oldest first. */
export function* recordsOf(shard: Shard): Generator<StoredRecord> {
  for (let ordinal = shard.log.firstOrdinal(); ordinal < shard.log.nextOrdinal(); ordinal++) {
    const record = shard.log.at(ordinal)
    if (record) yield record
  }
}

/** True when nothing will ever be readable from this ordinal on. */
export const isAtShardEnd = (shard: Shard, ordinal: number) =>
  shard.closedMs !== undefined && ordinal >= shard.log.nextOrdinal()

/** The last sequence number of a closed shard, which no record has. */
export const endingSequenceNumber = (shard: Shard) =>
  shard.closedMs === undefined
    ? undefined
    : shard.sequenceNumber(shard.log.nextOrdinal(), shard.closedMs)

/** `shardId-` and at least twelve digits. */
export const shardIdOf = (shardNumber: number) => `shardId-${String(shardNumber).padStart(12, '0')}`
