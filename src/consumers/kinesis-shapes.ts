import type { ChildShard, Shard, _Record } from '@aws-sdk/client-kinesis'
import { hashKeySpace } from '../base/hash-key.ts'
import type { KinesisRecord, ShardDescription } from './shard-reader.ts'

/** Converts members of the service's responses into the types of the consumers. */

export function shardOf(shard: Shard): ShardDescription {
  const { ParentShardId: parent, AdjacentParentShardId: adjacent } = shard
  return {
    shardId: given(shard.ShardId, 'ShardId'),
    parentIds: [parent, adjacent].flatMap((id) => id ?? []),
    ...rangeOf(shard.HashKeyRange),
    isClosed: shard.SequenceNumberRange?.EndingSequenceNumber !== undefined,
  }
}

/** The child shards that a response names at the end of a shard. */
export function childrenOf(children: readonly ChildShard[]): readonly ShardDescription[] {
  return children.map((child) => ({
    shardId: given(child.ShardId, 'ShardId'),
    parentIds: child.ParentShards ?? [],
    ...rangeOf(child.HashKeyRange),
    isClosed: false,
  }))
}

export function recordOf(record: _Record): KinesisRecord {
  const { Data: bytes = new Uint8Array() } = record
  return {
    sequenceNumber: record.SequenceNumber ?? '',
    partitionKey: record.PartitionKey ?? '',
    data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    approximateArrivalMs: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
  }
}

function rangeOf(range: Shard['HashKeyRange']) {
  return {
    startingHashKey: BigInt(range?.StartingHashKey ?? 0),
    endingHashKey: BigInt(range?.EndingHashKey ?? hashKeySpace - 1n),
  }
}

export function consumerOf(
  consumer: { ConsumerARN?: string | undefined; ConsumerStatus?: string | undefined } | undefined,
) {
  return {
    arn: given(consumer?.ConsumerARN, 'ConsumerARN'),
    status: given(consumer?.ConsumerStatus, 'ConsumerStatus'),
  }
}

/** @throws Error when a response lacks a member that the service always sends */
export function given<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new Error(`Kinesis answered without ${name}`)
  return value
}
