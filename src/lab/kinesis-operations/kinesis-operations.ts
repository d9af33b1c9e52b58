import { listShards, listStreams } from './listing.ts'
import type { Operation } from './operation.ts'
import { putRecord, putRecords } from './put.ts'
import { getRecords, getShardIterator } from './read.ts'
import {
  createStream,
  decreaseStreamRetentionPeriod,
  deleteStream,
  describeLimits,
  describeStream,
  describeStreamSummary,
  increaseStreamRetentionPeriod,
} from './streams.ts'
import { addTagsToStream, listTagsForStream, removeTagsFromStream } from './tags.ts'

/** Every operation of Kinesis that the lab has, by name. */
export const kinesisOperations: ReadonlyMap<string, Operation> = new Map(
  [
    addTagsToStream,
    createStream,
    decreaseStreamRetentionPeriod,
    deleteStream,
    describeLimits,
    describeStream,
    describeStreamSummary,
    getRecords,
    getShardIterator,
    increaseStreamRetentionPeriod,
    listShards,
    listStreams,
    listTagsForStream,
    putRecord,
    putRecords,
    removeTagsFromStream,
  ].map((operation) => [operation.name, operation]),
)
