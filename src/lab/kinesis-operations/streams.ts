import { invalidArgument } from '../service-error.ts'
import { retentionHoursDefault, shardsPerAccountMax } from '../streams.ts'
import type { Shard, Stream, StreamStore } from '../streams.ts'
import { boolean, integer, oneOf, required, structure } from '../validation.ts'
import {
  nameOf,
  resultsMax,
  shardId,
  streamMembers,
  streamName,
  streamOf,
  tags,
} from './members.ts'
import { checkTags } from './tags.ts'
import { operation } from './operation.ts'

const shardsDescribedDefault = 100
const retentionHoursMax = 8_760
const onDemandStreamsMax = 50
/** The shards that AWS gives a new stream in ON_DEMAND mode. */
const onDemandShardCount = 4

export const createStream = operation(
  'CreateStream',
  structure({
    StreamName: required(streamName),
    ShardCount: integer({ min: 1 }),
    StreamModeDetails: structure({ StreamMode: required(oneOf(['PROVISIONED', 'ON_DEMAND'])) }),
    Tags: tags,
    MaxRecordSizeInKiB: integer({ min: 1024, max: 10_240 }),
  }),
  (context, input) => {
    const mode = input.StreamModeDetails?.StreamMode ?? 'PROVISIONED'
    if (mode === 'PROVISIONED' && input.ShardCount === undefined) {
      throw invalidArgument('A stream in PROVISIONED mode needs a ShardCount.')
    }
    if (mode === 'ON_DEMAND' && input.ShardCount !== undefined) {
      throw invalidArgument('A stream in ON_DEMAND mode takes no ShardCount.')
    }
    const { Tags: tagged = {}, MaxRecordSizeInKiB: maxRecordSizeInKiB } = input
    checkTags(Object.keys(tagged), new Map())
    context.streams.create({
      name: input.StreamName,
      shardCount: input.ShardCount ?? onDemandShardCount,
      mode,
      tags: tagged,
      ...(maxRecordSizeInKiB === undefined ? {} : { maxRecordSizeInKiB }),
    })
    return undefined
  },
)

export const deleteStream = operation(
  'DeleteStream',
  structure({ ...streamMembers, EnforceConsumerDeletion: boolean }),
  (context, input) => {
    context.streams.delete(nameOf(context, input))
    return undefined
  },
)

export const describeStream = operation(
  'DescribeStream',
  structure({ ...streamMembers, Limit: resultsMax, ExclusiveStartShardId: shardId }),
  (context, input) => {
    const stream = streamOf(context, input)
    const limit = Math.min(input.Limit ?? shardsDescribedDefault, shardsDescribedDefault)
    const after = input.ExclusiveStartShardId
    const shards = stream.shards.filter((shard) => after === undefined || shard.id > after)
    return {
      StreamDescription: {
        ...commonDescription(stream),
        Shards: shards.slice(0, limit).map(shardDescription),
        HasMoreShards: shards.length > limit,
      },
    }
  },
)

export const describeStreamSummary = operation(
  'DescribeStreamSummary',
  structure(streamMembers),
  (context, input) => {
    const stream = streamOf(context, input)
    return {
      StreamDescriptionSummary: {
        ...commonDescription(stream),
        OpenShardCount: stream.shards.length,
        ConsumerCount: 0,
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

export const increaseStreamRetentionPeriod = operation(
  'IncreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(integer()) }),
  (context, input) => {
    const stream = streamOf(context, input)
    const hours = checkedRetention(input.RetentionPeriodHours)
    if (hours < stream.retentionHours) {
      throw invalidArgument(
        `Stream ${stream.name} keeps records for ${stream.retentionHours} hours: ` +
          `${hours} would not be an increase.`,
      )
    }
    // What the shorter period has put out of reach stays so.
    context.streams.trim(stream)
    stream.retentionHours = hours
    return undefined
  },
)

export const decreaseStreamRetentionPeriod = operation(
  'DecreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(integer()) }),
  (context, input) => {
    const stream = streamOf(context, input)
    const hours = checkedRetention(input.RetentionPeriodHours)
    if (hours > stream.retentionHours) {
      throw invalidArgument(
        `Stream ${stream.name} keeps records for ${stream.retentionHours} hours: ` +
          `${hours} would not be a decrease.`,
      )
    }
    stream.retentionHours = hours
    return undefined
  },
)

function checkedRetention(hours: number): number {
  if (hours >= retentionHoursDefault && hours <= retentionHoursMax) return hours
  throw invalidArgument(
    `RetentionPeriodHours must be from ${retentionHoursDefault} to ${retentionHoursMax}: ${hours}.`,
  )
}

function onDemandCount(streams: StreamStore): number {
  return streams.list().filter((stream) => stream.mode === 'ON_DEMAND').length
}

const commonDescription = (stream: Stream) => ({
  StreamName: stream.name,
  StreamARN: stream.arn,
  StreamStatus: 'ACTIVE',
  StreamModeDetails: { StreamMode: stream.mode },
  RetentionPeriodHours: stream.retentionHours,
  StreamCreationTimestamp: stream.createdMs / 1000,
  EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
  EncryptionType: 'NONE',
})

/** A shard as DescribeStream and ListShards show it. */
export const shardDescription = (shard: Shard) => ({
  ShardId: shard.id,
  HashKeyRange: {
    StartingHashKey: String(shard.startingHashKey),
    EndingHashKey: String(shard.endingHashKey),
  },
  SequenceNumberRange: { StartingSequenceNumber: shard.sequenceNumber(0, shard.createdMs) },
})
