import { secondsOf } from './fan-out-consumer.ts'
import type { FanOutConsumer } from './fan-out-consumer.ts'
import type { StreamChange } from './stream-change.ts'
import type { Distribution, EncryptionChange, Shard, Stream, StreamMode } from './stream.ts'

/**
 * A stream without its records, as plain JSON. A transient status is not stored, but the change at
 * its end is.
 */
export interface StreamRow {
  readonly name: string
  readonly arn: string
  readonly createdMs: number
  readonly mode: StreamMode
  readonly distribution?: Distribution | undefined
  readonly warmMiBps?: number | undefined
  readonly policy?: string | undefined
  readonly shardsMade: number
  readonly maxRecordSizeInKiB: number
  readonly retentionHours: number
  readonly encryptionKeyId?: string | undefined
  readonly shardLevelMetrics: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  readonly consumers: readonly ConsumerRow[]
  readonly lastConsumerSeconds: number
  readonly pendingChange?: StreamChange | undefined
  readonly shards: readonly ShardRow[]
}

interface ConsumerRow {
  readonly name: string
  readonly arn: string
  readonly createdMs: number
  readonly tags: Readonly<Record<string, string>>
  readonly policy?: string | undefined
}

export interface ShardRow {
  readonly number: number
  readonly createdMs: number
  readonly parentIds: readonly string[]
  readonly startingHashKey: string
  readonly endingHashKey: string
  readonly closedMs?: number | undefined
  readonly childNumbers: readonly number[]
  readonly encryptions: readonly EncryptionChange[]
  readonly firstOrdinal: number
  readonly nextOrdinal: number
}

export function rowOf(stream: Stream): StreamRow {
  return {
    name: stream.name,
    arn: stream.arn,
    createdMs: stream.createdMs,
    mode: stream.mode,
    distribution: stream.distribution,
    warmMiBps: stream.warmMiBps,
    policy: stream.policy,
    shardsMade: stream.shardsMade,
    maxRecordSizeInKiB: stream.maxRecordSizeInKiB,
    retentionHours: stream.retentionHours,
    encryptionKeyId: stream.encryptionKeyId,
    shardLevelMetrics: stream.shardLevelMetrics,
    tags: Object.fromEntries(stream.tags),
    consumers: [...stream.consumers.values()]
      .filter(({ status }) => status !== 'DELETING')
      .map(({ name, arn, createdMs, tags, policy }) => ({
        name,
        arn,
        createdMs,
        tags: Object.fromEntries(tags),
        policy,
      })),
    lastConsumerSeconds: lastConsumerSecondsOf(stream),
    pendingChange: stream.pendingChange,
    shards: stream.shards.map(shardRowOf),
  }
}

/** A consumer that is being deregistered is not stored, but its ARN must not be used again. */
function lastConsumerSecondsOf({ consumers, lastConsumerSeconds }: Stream): number {
  const leaving = [...consumers.values()].filter(({ status }) => status === 'DELETING')
  return Math.max(lastConsumerSeconds, ...leaving.map(({ arn }) => secondsOf(arn)))
}

const shardRowOf = (shard: Shard): ShardRow => ({
  number: shard.number,
  createdMs: shard.createdMs,
  parentIds: shard.parentIds,
  startingHashKey: String(shard.startingHashKey),
  endingHashKey: String(shard.endingHashKey),
  closedMs: shard.closedMs,
  childNumbers: shard.children.map((child) => child.number),
  encryptions: shard.encryptions,
  firstOrdinal: shard.log.firstOrdinal(),
  nextOrdinal: shard.log.nextOrdinal(),
})

/**
 * The stream as it was when its row was written; its `pendingChange` is still to be applied.
 *
 * @param restoreShard makes a shard from its row, with its records and without its children
 */
export function streamOf(row: StreamRow, restoreShard: (row: ShardRow) => Shard): Stream {
  const shards = row.shards.map(restoreShard)
  const byNumber = new Map(shards.map((shard) => [shard.number, shard]))
  for (const { number, childNumbers } of row.shards) {
    const shard = byNumber.get(number)
    if (shard) shard.children = childNumbers.flatMap((child) => byNumber.get(child) ?? [])
  }
  return {
    name: row.name,
    arn: row.arn,
    createdMs: row.createdMs,
    tags: new Map(Object.entries(row.tags)),
    consumers: new Map(row.consumers.map((consumer) => [consumer.name, consumerOf(consumer)])),
    lastConsumerSeconds: row.lastConsumerSeconds,
    status: 'ACTIVE',
    pendingChange: row.pendingChange,
    mode: row.mode,
    distribution: row.distribution ?? 'USER_PARTITION_KEY',
    distributedCount: 0,
    warmMiBps: row.warmMiBps,
    policy: row.policy,
    shards,
    openShards: shards
      .filter(({ closedMs }) => closedMs === undefined)
      .toSorted((left, right) => (left.startingHashKey < right.startingHashKey ? -1 : 1)),
    shardsMade: row.shardsMade,
    maxRecordSizeInKiB: row.maxRecordSizeInKiB,
    retentionHours: row.retentionHours,
    encryptionKeyId: row.encryptionKeyId,
    shardLevelMetrics: row.shardLevelMetrics,
  }
}

const consumerOf = ({ name, arn, createdMs, tags, policy }: ConsumerRow): FanOutConsumer => ({
  name,
  arn,
  createdMs,
  tags: new Map(Object.entries(tags)),
  policy,
  status: 'ACTIVE',
  subscriptions: new Map(),
})
