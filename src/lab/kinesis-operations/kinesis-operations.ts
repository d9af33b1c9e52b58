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
} from './settings.ts'
import {
  createStream,
  deleteStream,
  describeAccountSettings,
  describeLimits,
  describeStream,
  describeStreamSummary,
} from './streams.ts'
import { subscribeToShard } from './subscribe.ts'
import { addTagsToStream, listTagsForStream, removeTagsFromStream } from './tags.ts'

/** The operations of Kinesis that the lab supports, by name. */
export const kinesisOperations: ReadonlyMap<string, Operation> = new Map(
  [
    addTagsToStream,
    createStream,
    decreaseStreamRetentionPeriod,
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
    registerStreamConsumer,
    removeTagsFromStream,
    splitShard,
    startStreamEncryption,
    stopStreamEncryption,
    subscribeToShard,
    tagResource,
    untagResource,
    updateMaxRecordSize,
    updateShardCount,
    updateStreamMode,
  ].map((operation) => [operation.name, operation]),
)
