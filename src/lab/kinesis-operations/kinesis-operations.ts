import { describeAccountSettings, updateAccountSettings } from './account-settings.ts'
import {
  deregisterStreamConsumer,
  describeStreamConsumer,
  listStreamConsumers,
  registerStreamConsumer,
} from './consumers.ts'
import { listShards, listStreams } from './listing.ts'
import type { Operation } from './operation.ts'
import { putRecord, putRecords } from './put.ts'
import { getRecords, getShardIterator } from './read.ts'
import { mergeShards, splitShard, updateShardCount } from './resharding.ts'
import { deleteResourcePolicy, getResourcePolicy, putResourcePolicy } from './resource-policies.ts'
import { listTagsForResource, tagResource, untagResource } from './resource-tags.ts'
import {
  decreaseStreamRetentionPeriod,
  disableEnhancedMonitoring,
  enableEnhancedMonitoring,
  increaseStreamRetentionPeriod,
  startStreamEncryption,
  stopStreamEncryption,
  updateMaxRecordSize,
  updateStreamMode,
  updateStreamRecordDistributionStrategy,
} from './settings.ts'
import {
  createStream,
  deleteStream,
  describeLimits,
  describeStream,
  describeStreamSummary,
} from './streams.ts'
import { subscribeToShard } from './subscribe.ts'
import { addTagsToStream, listTagsForStream, removeTagsFromStream } from './tags.ts'
import { updateStreamWarmThroughput } from './warm-throughput.ts'

/** The operations of Kinesis that the lab supports, by name. */
export const kinesisOperations: ReadonlyMap<string, Operation> = new Map(
  [
    addTagsToStream,
    createStream,
    decreaseStreamRetentionPeriod,
    deleteResourcePolicy,
    deleteStream,
    deregisterStreamConsumer,
    describeAccountSettings,
    describeLimits,
    describeStream,
    describeStreamConsumer,
    describeStreamSummary,
    disableEnhancedMonitoring,
    enableEnhancedMonitoring,
    getRecords,
    getResourcePolicy,
    getShardIterator,
    increaseStreamRetentionPeriod,
    listShards,
    listStreamConsumers,
    listStreams,
    listTagsForResource,
    listTagsForStream,
    mergeShards,
    putRecord,
    putRecords,
    putResourcePolicy,
    registerStreamConsumer,
    removeTagsFromStream,
    splitShard,
    startStreamEncryption,
    stopStreamEncryption,
    subscribeToShard,
    tagResource,
    untagResource,
    updateAccountSettings,
    updateMaxRecordSize,
    updateShardCount,
    updateStreamMode,
    updateStreamRecordDistributionStrategy,
    updateStreamWarmThroughput,
  ].map((operation) => [operation.name, operation]),
)

/** The operations of Kinesis that the lab does not have, each with the reason. */
export const missingKinesisOperations: ReadonlyMap<string, string> = new Map(
  ['CreateChannel', 'DeleteChannel', 'DescribeChannel', 'ListChannels', 'UpdateChannel'].map(
    (name) => [name, 'channels deliver to S3, which it does not have'],
  ),
)
