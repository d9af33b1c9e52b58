import { defined } from '../../base/defined.ts'
import { hashKeyRangeOf } from '../streams/read-shard.ts'
import { warmShardCount } from '../streams/resharding.ts'
import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { encryptionOf, endingSequenceNumber } from '../streams/stream.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { shardsPerAccountMax } from '../streams/shard-counts.ts'
import type { StreamStore } from '../streams/streams.ts'
import { boolean, integer, required, structure } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'
import {
  distributionStrategy,
  isAfterShard,
  maxRecordSizeInKiB,
  resultsMax,
  shardId,
  refuseDistribution,
  streamMembers,
  streamModeDetails,
  streamName,
  streamOf,
  tags,
} from './members.ts'
import { checkTags } from './tags.ts'
import { operation } from './operation.ts'
import { checkWarmThroughput, warmThroughputMiBps, warmThroughputOf } from './warm-throughput.ts'

const shardsDescribedDefault = 100
const onDemandStreamsMax = 50

export const createStream = operation(
  'CreateStream',
  structure({
    StreamName: required(streamName),
    ShardCount: integer({ min: 1 }),
    StreamModeDetails: streamModeDetails,
    Tags: tags,
    WarmThroughputMiBps: warmThroughputMiBps,
    MaxRecordSizeInKiB: maxRecordSizeInKiB,
    RecordDistributionStrategy: distributionStrategy,
  }),
  (context, input) => {
    const { Tags: tagged = {}, MaxRecordSizeInKiB: recordKiBMax, ShardCount } = input
    const { WarmThroughputMiBps: warmMiBps, RecordDistributionStrategy: distribution } = input
    // Without a mode and a number of shards, AWS makes a stream in ON_DEMAND mode.
    const modeDefault = ShardCount === undefined ? 'ON_DEMAND' : 'PROVISIONED'
    const mode = input.StreamModeDetails?.StreamMode ?? modeDefault
    if (mode === 'PROVISIONED' && ShardCount === undefined) {
      throw invalidArgument('A stream in PROVISIONED mode needs a ShardCount.')
    }
    if (mode === 'ON_DEMAND' && ShardCount !== undefined) {
      throw invalidArgument('A stream in ON_DEMAND mode takes no ShardCount.')
    }
    checkWarmThroughput(context, { mode, warmMiBps })
    if (distribution !== undefined) refuseDistribution(mode)
    checkTags(tagged, new Map())
    context.streams.create({
      name: input.StreamName,
      shardCount: ShardCount ?? warmShardCount(warmMiBps ?? 0),
      mode,
      distribution,
      warmMiBps,
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
    const isAfter = isAfterShard(context, stream, input.ExclusiveStartShardId)
    const shards = stream.shards.filter(isAfter)
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
        ...defined({
          WarmThroughput: warmThroughputOf(context, stream),
          RecordDistributionStrategy: stream.mode === 'ON_DEMAND' ? stream.distribution : undefined,
        }),
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
