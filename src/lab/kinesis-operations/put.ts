import type { CallSubject, EntryFailureCode } from '../faults/faults.ts'
import { parseSequenceNumber } from '../streams/sequence-number.ts'
import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { encryptionMember, encryptionOf, nextShard, shardFor } from '../streams/stream.ts'
import type { Stream } from '../streams/stream.ts'
import type { RecordPosition } from '../streams/shard-storage.ts'
import { blob, list, missingMember, required, structure } from '../wire/validation.ts'
import {
  dryRun,
  explicitHashKeyOf,
  hashKey,
  streamNameOf,
  partitionKey,
  rateExceededMessage,
  refuseDryRun,
  refuseUnready,
  sequenceNumber,
  streamMembers,
} from './members.ts'
import type { StreamNaming } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'

const recordBytesMax = 10 * 1024 * 1024
const recordsPerCallMax = 500
const callBytesMax = 10 * 1024 * 1024

const entryMembers = {
  Data: required(blob({ max: recordBytesMax })),
  /** Needed unless the stream distributes its records by itself. */
  PartitionKey: partitionKey,
  ExplicitHashKey: hashKey,
} as const

interface Entry {
  readonly Data: Uint8Array
  readonly PartitionKey?: string
  readonly ExplicitHashKey?: string
}

export const putRecord = operation(
  'PutRecord',
  structure({
    ...streamMembers,
    ...entryMembers,
    SequenceNumberForOrdering: sequenceNumber,
    DryRun: dryRun,
  }),
  (context, input, { call }) => {
    const stream = streamFor(context, input)
    checkKey(stream, input, 'partitionKey')
    checkSize(stream, input)
    checkOrdering(context, stream, input.SequenceNumberForOrdering)
    explicitHashKeyOf(input.ExplicitHashKey)
    refuseDryRun(input.DryRun)
    const stored = store(context, call, stream, input, 0)
    if ('failure' in stored) throw new ServiceError(stored.failure, stored.message)
    return {
      ShardId: stored.shardId,
      SequenceNumber: stored.sequenceNumber,
      ...encryptionMember(encryptionOf(stream)),
    }
  },
)

export const putRecords = operation(
  'PutRecords',
  structure({
    ...streamMembers,
    Records: required(list(structure(entryMembers), { min: 1, max: recordsPerCallMax })),
    DryRun: dryRun,
  }),
  (context, input, { call }) => {
    const stream = streamFor(context, input)
    // One invalid record refuses the whole call, so all are checked before one is stored.
    for (const [index, entry] of input.Records.entries()) {
      checkKey(stream, entry, `records.${index + 1}.member.partitionKey`)
    }
    const callBytes = input.Records.reduce((sum, entry) => sum + checkSize(stream, entry), 0)
    if (callBytes > callBytesMax) {
      throw invalidArgument(`The records of a call may have ${callBytesMax} bytes: ${callBytes}.`)
    }
    for (const entry of input.Records) explicitHashKeyOf(entry.ExplicitHashKey)
    refuseDryRun(input.DryRun)

    let failedRecordCount = 0
    const results = input.Records.map((entry, position) => {
      const stored = store(context, call, stream, entry, position)
      if (!('failure' in stored)) {
        return { SequenceNumber: stored.sequenceNumber, ShardId: stored.shardId }
      }
      failedRecordCount++
      return { ErrorCode: stored.failure, ErrorMessage: stored.message }
    })
    return {
      FailedRecordCount: failedRecordCount,
      Records: results,
      ...encryptionMember(encryptionOf(stream)),
    }
  },
)

/** The stream of a put. Its expired records are removed first, to make room. */
function streamFor(context: OperationContext, input: StreamNaming): Stream {
  const stream = context.streamForPut(streamNameOf(context, input))
  refuseUnready(context, stream)
  context.streams.trim(stream)
  return stream
}

interface EntryFailure {
  readonly failure: EntryFailureCode
  readonly message: string
}

function store(
  context: OperationContext,
  call: CallSubject,
  stream: Stream,
  entry: Entry,
  position: number,
): RecordPosition | EntryFailure {
  const key = entry.PartitionKey ?? ''
  const shard =
    stream.distribution === 'AUTO'
      ? nextShard(stream)
      : shardFor(stream, key, explicitHashKeyOf(entry.ExplicitHashKey))
  const subject = { partitionKey: key, shardId: shard.id, position }
  const failure =
    context.faults.onEntry(call, subject) ??
    (shard.limits.takeWrite(sizeOf(entry), context.clock.monotonicMs())
      ? undefined
      : 'ProvisionedThroughputExceededException')
  if (failure === undefined) return context.streams.append(stream, shard, key, entry.Data)
  const message =
    failure === 'InternalFailure'
      ? 'Internal service failure.'
      : rateExceededMessage(context, stream, shard)
  return { failure, message }
}

/** Bytes of data and partition key. */
const sizeOf = (entry: Entry) => entry.Data.length + Buffer.byteLength(entry.PartitionKey ?? '')

/**
 * A stream that does not distribute its records by itself needs the partition key of each.
 * @throws ServiceError ValidationException that names the member at `path`
 */
function checkKey(stream: Stream, entry: Entry, path: string): void {
  if (entry.PartitionKey === undefined && stream.distribution !== 'AUTO') throw missingMember(path)
}

/**
 * The size of a record, if its stream accepts it.
 * @throws ServiceError InvalidArgumentException over the limit of the stream
 */
function checkSize(stream: Stream, entry: Entry): number {
  const sizeBytes = sizeOf(entry)
  if (sizeBytes > stream.maxRecordSizeInKiB * 1024) {
    throw invalidArgument(
      `A record of stream ${stream.name} may have ${stream.maxRecordSizeInKiB} KiB of data and ` +
        `partition key; this one has ${sizeBytes} bytes.`,
    )
  }
  return sizeBytes
}

/**
 * The number must be one that this stream assigned. Nothing else is needed for the ordering: a
 * shard always assigns higher numbers than before.
 */
function checkOrdering(context: OperationContext, stream: Stream, given: string | undefined): void {
  if (given === undefined) return
  const parts = parseSequenceNumber(given)
  const shard = stream.shards.find((candidate) => candidate.number === parts?.shardNumber)
  if (
    parts?.shardCreatedMs === shard?.createdMs &&
    parts &&
    shard &&
    parts.ordinal < shard.log.nextOrdinal()
  ) {
    return
  }
  throw invalidArgument(
    `SequenceNumberForOrdering ${given} was not assigned by stream ${stream.name} ` +
      `under account ${context.accountId}.`,
  )
}
