import { hashKeyOf } from '../../base/hash-key.ts'
import type { FanOutConsumer } from './fan-out-consumer.ts'
import type { ShardLimits } from './shard-limits.ts'
import type { ShardLog, StoredRecord } from './shard-log.ts'
import type { StreamChange } from './stream-change.ts'

/**
 * A stream of the lab. It is mutable; only the store (streams.ts) and the operations for a member
 * change that member.
 *
 * Invariants: the ranges of `openShards` are sorted, leave no gap and do not overlap; a shard is
 * open or has its children; `shards` is sorted by number and does not contain expired shards.
 */
export interface Stream {
  readonly name: string
  /** It names the account and the region, which are the stream's namespace. */
  arn: string
  /** Epoch milliseconds, unique within a server, so it also identifies the stream. */
  readonly createdMs: number
  readonly tags: Map<string, string>
  /** By name. */
  readonly consumers: Map<string, FanOutConsumer>
  /** The number at the end of the last deregistered consumer's ARN. */
  lastConsumerSeconds: number
  status: StreamStatus
  /** What changes when the stream is no longer UPDATING. */
  pendingChange: StreamChange | undefined
  mode: StreamMode
  /** `AUTO` distributes records evenly, whatever their keys are; only in ON_DEMAND mode. */
  distribution: Distribution
  /** The number of records that the stream has distributed by itself. */
  distributedCount: number
  /** The write throughput that a stream in ON_DEMAND mode is scaled for, where one was given. */
  warmMiBps: number | undefined
  /** The resource policy as it was put. The lab reports it but does not evaluate it. */
  policy: string | undefined
  /** Open and closed. */
  shards: readonly Shard[]
  openShards: readonly Shard[]
  /** The number of shards ever made, which is the number of the next one. */
  shardsMade: number
  maxRecordSizeInKiB: number
  retentionHours: number
  /** Undefined without encryption. The lab reports encryption but does not encrypt. */
  encryptionKeyId: string | undefined
  /** Sorted. */
  shardLevelMetrics: readonly string[]
}

export type StreamStatus = 'CREATING' | 'ACTIVE' | 'UPDATING' | 'DELETING'
export type StreamMode = 'PROVISIONED' | 'ON_DEMAND'
/** AWS's RecordDistributionStrategy. */
export type Distribution = 'AUTO' | 'USER_PARTITION_KEY'

export interface Shard {
  readonly number: number
  /** `shardId-` and the number in twelve digits. */
  readonly id: string
  readonly createdMs: number
  /** One parent after a split, two after a merge, none for the first shards of a stream. */
  readonly parentIds: readonly string[]
  /** Both ends of the range belong to the shard. */
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  readonly log: ShardLog
  /** The ordinal up to which records can be read: with a disk, those that are on it. */
  readableEnd: number
  readonly limits: ShardLimits
  /** Called synchronously when the shard has a new record to read or is closed. */
  readonly watchers: Set<() => void>
  /** The ordinals at which encryption was turned on or off. */
  readonly encryptions: EncryptionChange[]
  /** Undefined while the shard is open. */
  closedMs: number | undefined
  /** The same by the monotonic clock, which determines its expiry. */
  closedSinceMs: number | undefined
  children: readonly Shard[]
  sequenceNumber(ordinal: number, arrivalMs: number): string
}

export interface EncryptionChange {
  readonly fromOrdinal: number
  readonly isEncrypted: boolean
}

/** No stream can have as many. */
const shardNumberMax = 2 ** 31 - 1

type EncryptionType = 'KMS' | 'NONE'

/** The encryption of new records. */
export const encryptionOf = (stream: Stream): EncryptionType =>
  stream.encryptionKeyId === undefined ? 'NONE' : 'KMS'

/** The EncryptionType of records: AWS leaves it out where they are not encrypted. */
export const encryptionMember = (type: EncryptionType) =>
  type === 'NONE' ? undefined : { EncryptionType: type }

/** The encryption of a stored record. */
export function encryptionAt(shard: Shard, ordinal: number): EncryptionType {
  const change = shard.encryptions.findLast(({ fromOrdinal }) => fromOrdinal <= ordinal)
  return change?.isEncrypted ? 'KMS' : 'NONE'
}

/** The open shard whose range includes the explicit hash key or that of the partition key. */
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

/** The shard for the next record of a stream that distributes its records by itself. */
export function nextShard(stream: Stream): Shard {
  const { openShards, name } = stream
  const shard = openShards[stream.distributedCount++ % openShards.length]
  if (!shard) throw new Error(`stream ${name} has no open shard`)
  return shard
}

/** Every readable record of a shard, oldest first. */
export function* recordsOf(shard: Shard): Generator<StoredRecord> {
  for (let ordinal = shard.log.firstOrdinal(); ordinal < shard.readableEnd; ordinal++) {
    const record = shard.log.at(ordinal)
    if (record) yield record
  }
}

/** The record of an ordinal; undefined when it is gone, or cannot be read yet. */
export const readableRecord = (shard: Shard, ordinal: number): StoredRecord | undefined =>
  ordinal < shard.readableEnd ? shard.log.at(ordinal) : undefined

/** Lets the records before `endOrdinal` be read, and wakes those that wait for them. */
export function makeReadable(shard: Shard, endOrdinal: number): void {
  if (endOrdinal <= shard.readableEnd) return
  shard.readableEnd = endOrdinal
  if (shard.watchers.size > 0) for (const wake of shard.watchers) wake()
}

/** Whether no record will ever be readable from this ordinal on. */
export const isAtShardEnd = (shard: Shard, ordinal: number) =>
  shard.closedMs !== undefined && ordinal >= shard.log.nextOrdinal()

/** The ending sequence number of a closed shard, which belongs to no record. */
export const endingSequenceNumber = (shard: Shard) =>
  shard.closedMs === undefined
    ? undefined
    : shard.sequenceNumber(shard.log.nextOrdinal(), shard.closedMs)

/**
 * The number in a shard id. Kinesis takes any name before the dash, and any number of zeros:
 * `shardId-0` is the first shard.
 * @returns undefined for a text that cannot be a shard's id
 */
export function shardNumberOf(id: string): number | undefined {
  const [, digits] = /^(?:[a-zA-Z0-9_.]*-)?(\d{1,128})$/.exec(id) ?? []
  const number = Number(digits)
  return number <= shardNumberMax ? number : undefined
}

/** `shardId-` and at least twelve digits. */
export const shardIdOf = (shardNumber: number) => `shardId-${String(shardNumber).padStart(12, '0')}`
