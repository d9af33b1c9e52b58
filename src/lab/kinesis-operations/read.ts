import { openIterator, refuseExpired, sealIterator } from '../iterators.ts'
import { parseSequenceNumber } from '../sequence-number.ts'
import { invalidArgument, notFound } from '../service-error.ts'
import type { Shard, Stream } from '../streams.ts'
import { oneOf, required, structure, text, timestampMs } from '../validation.ts'
import {
  nameOf,
  rateExceeded,
  resultsMax,
  sequenceNumber,
  shardId,
  shardOf,
  streamArn,
  streamMembers,
  streamOf,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'

const recordsPerReadMax = 10_000
const bytesPerReadMax = 10 * 1024 * 1024

const iteratorTypes = [
  'AT_SEQUENCE_NUMBER',
  'AFTER_SEQUENCE_NUMBER',
  'TRIM_HORIZON',
  'LATEST',
  'AT_TIMESTAMP',
] as const

interface StartingPosition {
  readonly ShardIteratorType: (typeof iteratorTypes)[number]
  readonly StartingSequenceNumber?: string
  readonly Timestamp?: number
}

export const getShardIterator = operation(
  'GetShardIterator',
  structure({
    ...streamMembers,
    ShardId: required(shardId),
    ShardIteratorType: required(oneOf(iteratorTypes)),
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestampMs,
  }),
  (context, input) => {
    const stream = streamOf(context, input)
    const shard = shardOf(context, stream, input.ShardId)
    context.streams.trim(stream)
    const ordinal = startingOrdinal(context, stream, shard, input)
    return {
      ShardIterator: sealIterator(context.tokens, context.clock, { stream, shard, ordinal }),
    }
  },
)

function startingOrdinal(
  context: OperationContext,
  stream: Stream,
  shard: Shard,
  start: StartingPosition,
): number {
  refuseMixedPosition(start)
  const numbered = () => ordinalOf(context, stream, shard, start.StartingSequenceNumber)
  const ordinals: Readonly<Record<StartingPosition['ShardIteratorType'], () => number>> = {
    TRIM_HORIZON: () => shard.log.firstOrdinal(),
    LATEST: () => shard.log.nextOrdinal(),
    AT_TIMESTAMP: () => ordinalAtTime(context, shard, start.Timestamp),
    AT_SEQUENCE_NUMBER: numbered,
    AFTER_SEQUENCE_NUMBER: () => numbered() + 1,
  }
  return ordinals[start.ShardIteratorType]()
}

/** A sequence number belongs to two of the types, and to no other. */
function refuseMixedPosition(start: StartingPosition): void {
  const type = start.ShardIteratorType
  const takesNumber = type === 'AT_SEQUENCE_NUMBER' || type === 'AFTER_SEQUENCE_NUMBER'
  if (takesNumber === (start.StartingSequenceNumber !== undefined)) return
  throw invalidArgument(
    'AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER need a StartingSequenceNumber, and the other ' +
      `types take none. The request is for ${type} ${takesNumber ? 'without' : 'with'} one.`,
  )
}

function ordinalAtTime(context: OperationContext, shard: Shard, atMs: number | undefined): number {
  if (atMs === undefined) throw invalidArgument('AT_TIMESTAMP needs a Timestamp.')
  const nowMs = context.clock.nowMs()
  if (atMs > nowMs) {
    throw invalidArgument(
      `The timestamp cannot be later than now. Timestamp: ${atMs} ms, now: ${nowMs} ms.`,
    )
  }
  return shard.log.firstArrivedSince(atMs)
}

function ordinalOf(
  context: OperationContext,
  stream: Stream,
  shard: Shard,
  given: string | undefined,
): number {
  const parts = given === undefined ? undefined : parseSequenceNumber(given)
  const isOfShard = parts?.shardNumber === shard.number && parts.shardCreatedMs === shard.createdMs
  if (!parts || !isOfShard || parts.ordinal >= shard.log.nextOrdinal()) {
    throw invalidArgument(
      `StartingSequenceNumber ${given} is none of shard ${shard.id} in stream ${stream.name} ` +
        `under account ${context.accountId}.`,
    )
  }
  return parts.ordinal
}

export const getRecords = operation(
  'GetRecords',
  structure({
    ShardIterator: required(text({ min: 1, max: 512 })),
    Limit: resultsMax,
    StreamARN: streamArn,
  }),
  (context, input) => {
    const iterator = openIterator(context.tokens, input.ShardIterator)
    refuseExpired(iterator, context.clock)
    if (input.StreamARN !== undefined && nameOf(context, input) !== iterator.streamName) {
      throw invalidArgument(`The ShardIterator is not of stream ${input.StreamARN}.`)
    }
    const stream = context.streams.find(iterator.streamName)
    const shard = stream?.shards.find((candidate) => candidate.number === iterator.shardNumber)
    if (!stream || !shard || stream.createdMs !== iterator.streamCreatedMs) {
      throw notFound(
        `The stream ${iterator.streamName} of the ShardIterator is not there any more.`,
      )
    }
    const nowMs = context.clock.nowMs()
    if (!shard.limits.takeRead(nowMs)) throw rateExceeded(context, stream, shard)
    context.streams.trim(stream)
    const { records, sizeBytes, nextOrdinal } = readFrom(shard, iterator.ordinal, input.Limit)
    shard.limits.spendRead(sizeBytes, nowMs)
    const at = { stream, shard, ordinal: nextOrdinal }
    return {
      Records: records,
      NextShardIterator: sealIterator(context.tokens, context.clock, at),
      MillisBehindLatest: millisBehindLatest(context, shard, nextOrdinal),
    }
  },
)

/** The records from an ordinal on, as many as one answer carries; at least one if there is one. */
function readFrom(shard: Shard, ordinal: number, limit: number = recordsPerReadMax) {
  const records: object[] = []
  let sizeBytes = 0
  let nextOrdinal = Math.max(ordinal, shard.log.firstOrdinal())
  while (records.length < limit) {
    const record = shard.log.at(nextOrdinal)
    if (!record) break
    if (sizeBytes + record.sizeBytes > bytesPerReadMax && records.length > 0) break
    sizeBytes += record.sizeBytes
    records.push({
      SequenceNumber: shard.sequenceNumber(record.ordinal, record.arrivalMs),
      ApproximateArrivalTimestamp: record.arrivalMs / 1000,
      Data: record.data.toString('base64'),
      PartitionKey: record.partitionKey,
      EncryptionType: 'NONE',
    })
    nextOrdinal++
  }
  return { records, sizeBytes, nextOrdinal }
}

/** Age of the oldest record not read yet; 0 only when there is none. */
function millisBehindLatest(context: OperationContext, shard: Shard, nextOrdinal: number): number {
  const waiting = shard.log.at(nextOrdinal)
  return waiting ? Math.max(1, context.clock.nowMs() - waiting.arrivalMs) : 0
}
