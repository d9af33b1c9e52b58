import { defined } from '../../base/defined.ts'
import { hashKeyRangeOf } from '../streams/read-shard.ts'
import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { encryptionOf, endingSequenceNumber } from '../streams/stream.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { shardsPerAccountMax } from '../streams/shard-counts.ts'
import type { StreamStore } from '../streams/streams.ts'
import { boolean, integer, required, structure } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'
import {
  maxRecordSizeInKiB,
  resultsMax,
  shardId,
  streamMembers,
  streamModeDetails,
  streamName,
  streamOf,
  tags,
} from './members.ts'
import { checkTags } from './tags.ts'
import { operation } from './operation.ts'

const shardsDescribedDefault = 100
const onDemandStreamsMax = 50
/** The shards that AWS gives a new stream in ON_DEMAND mode. */
const onDemandShardCount = 4

export const createStream = operation(
  'CreateStream',
  structure({
    StreamName: required(streamName),
    ShardCount: integer({ min: 1 }),
    StreamModeDetails: streamModeDetails,
    Tags: tags,
    MaxRecordSizeInKiB: maxRecordSizeInKiB,
  }),
  (context, input) => {
    const mode = input.StreamModeDetails?.StreamMode ?? 'PROVISIONED'
    if (mode === 'PROVISIONED' && input.ShardCount === undefined) {
      throw invalidArgument('A stream in PROVISIONED mode needs a ShardCount.')
    }
    if (mode === 'ON_DEMAND' && input.ShardCount !== undefined) {
      throw invalidArgument('A stream in ON_DEMAND mode takes no ShardCount.')
    }
    const { Tags: tagged = {}, MaxRecordSizeInKiB: recordKiBMax } = input
    checkTags(Object.keys(tagged), new Map())
    context.streams.create({
      name: input.StreamName,
      shardCount: input.ShardCount ?? onDemandShardCount,
      mode,
      tags: tagged,
      maxRecordSizeInKiB: recordKiBMax,
    })
    return undefined
  },
)

export const deleteStream = operation(
  'DeleteStream',
  structure({ ...streamMembers, EnforceConsumerDeletion: boolean }),
  (context, input) => {
    const stream = streamOf(context, input)
    if (stream.consumers.size > 0 && input.EnforceConsumerDeletion !== true) {
      throw new ServiceError(
        'ResourceInUseException',
        `Stream ${stream.name} under account ${context.accountId} has registered consumers ` +
          `(${stream.consumers.size}): deregister them, or set EnforceConsumerDeletion.`,
      )
    }
    context.streams.delete(stream)
    return undefined
  },
)

export const describeStream = operation(
  'DescribeStream',
  structure({ ...streamMembers, Limit: resultsMax, ExclusiveStartShardId: shardId }),
  (context, input, { wire }) => {
    const stream = streamOf(context, input)
    context.streams.trim(stream)
    const limit = Math.min(input.Limit ?? shardsDescribedDefault, shardsDescribedDefault)
    const after = input.ExclusiveStartShardId
    const shards = stream.shards.filter((shard) => after === undefined || shard.id > after)
    return {
      StreamDescription: {
        ...commonDescription(stream, wire),
        Shards: shards.slice(0, limit).map(shardDescription),
        HasMoreShards: shards.length > limit,
      },
    }
  },
)

export const describeStreamSummary = operation(
  'DescribeStreamSummary',
  structure(streamMembers),
  (context, input, { wire }) => {
    const stream = streamOf(context, input)
    return {
      StreamDescriptionSummary: {
        ...commonDescription(stream, wire),
        OpenShardCount: stream.openShards.length,
        ConsumerCount: stream.consumers.size,
        MaxRecordSizeInKiB: stream.maxRecordSizeInKiB,
      },
    }
  },
)

export const describeLimits = operation('DescribeLimits', structure({}), (context) => ({
  ShardLimit: shardsPerAccountMax,
  OpenShardCount: context.streams.openShardCount(),
  OnDemandStreamCount: onDemandCount(context.streams),
  OnDemandStreamCountLimit: onDemandStreamsMax,
}))

/** The lab has no billing, so there is no commitment. */
export const describeAccountSettings = operation('DescribeAccountSettings', structure({}), () => ({
  MinimumThroughputBillingCommitment: { Status: 'DISABLED' },
}))

function onDemandCount(streams: StreamStore): number {
  return streams.list().filter((stream) => stream.mode === 'ON_DEMAND').length
}

const commonDescription = (stream: Stream, wire: WireFormat) => ({
  StreamName: stream.name,
  StreamARN: stream.arn,
  StreamStatus: stream.status,
  StreamModeDetails: { StreamMode: stream.mode },
  RetentionPeriodHours: stream.retentionHours,
  StreamCreationTimestamp: wire.time(stream.createdMs),
  EnhancedMonitoring: [{ ShardLevelMetrics: stream.shardLevelMetrics }],
  EncryptionType: encryptionOf(stream),
  ...defined({ KeyId: stream.encryptionKeyId }),
})

/** A shard in the form of DescribeStream and ListShards. */
export function shardDescription(shard: Shard): object {
  const [parentId, adjacentParentId] = shard.parentIds
  const ending = endingSequenceNumber(shard)
  return {
    ShardId: shard.id,
    ...defined({ ParentShardId: parentId, AdjacentParentShardId: adjacentParentId }),
    HashKeyRange: hashKeyRangeOf(shard),
    SequenceNumberRange: {
      StartingSequenceNumber: shard.sequenceNumber(0, shard.createdMs),
      ...defined({ EndingSequenceNumber: ending }),
    },
  }
}
