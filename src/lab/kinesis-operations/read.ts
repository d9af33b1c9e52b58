import { openIterator, sealIterator } from '../streams/iterators.ts'
import type { ShardIterator } from '../streams/iterators.ts'
import { childShardsOf, millisBehindLatest, readShard } from '../streams/read-shard.ts'
import { parseSequenceNumber } from '../streams/sequence-number.ts'
import { invalidArgument, notFound } from '../wire/service-error.ts'
import { shardIdOf } from '../streams/stream.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { oneOf, required, structure, text, timestampMs } from '../wire/validation.ts'
import {
  dryRun,
  streamNameOf,
  rateExceeded,
  refuseDryRun,
  refuseUnready,
  resultsMax,
  sequenceNumber,
  shardId,
  shardOf,
  streamArn,
  streamId,
  streamMembers,
  streamOf,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'

const recordsPerReadMax = 10_000
const bytesPerReadMax = 10 * 1024 * 1024

export const iteratorTypes = [
  'AT_SEQUENCE_NUMBER',
  'AFTER_SEQUENCE_NUMBER',
  'TRIM_HORIZON',
  'LATEST',
  'AT_TIMESTAMP',
] as const

/** Where reading begins, independent of the operation's names for the members. */
interface ReadingPosition {
  readonly type: (typeof iteratorTypes)[number]
  readonly sequenceNumber: string | undefined
  readonly atMs: number | undefined
}

export const getShardIterator = operation(
  'GetShardIterator',
  structure({
    ...streamMembers,
    ShardId: required(shardId),
    ShardIteratorType: required(oneOf(iteratorTypes)),
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestampMs,
    DryRun: dryRun,
  }),
  (context, input) => {
    const stream = streamOf(context, input)
    refuseUnready(context, stream)
    context.streams.trim(stream)
    const shard = shardOf(context, stream, input.ShardId)
    const ordinal = startingOrdinal(context, stream, shard, {
      type: input.ShardIteratorType,
      sequenceNumber: input.StartingSequenceNumber,
      atMs: input.Timestamp,
    })
    refuseDryRun(input.DryRun)
    return {
      ShardIterator: sealIterator(context.tokens, { stream, shard, ordinal }),
    }
  },
)

/**
 * The ordinal of the record that is read first.
 * @throws ServiceError InvalidArgumentException
 */
export function startingOrdinal(
  context: OperationContext,
  stream: Stream,
  shard: Shard,
  start: ReadingPosition,
): number {
  refuseMixedPosition(start)
  const found = () => positionOf(context, stream, shard, start.sequenceNumber)
  const ordinals: Readonly<Record<ReadingPosition['type'], () => number>> = {
    TRIM_HORIZON: () => shard.log.firstOrdinal(),
    LATEST: () => shard.readableEnd,
    AT_TIMESTAMP: () => ordinalAtTime(context, shard, start.atMs),
    AT_SEQUENCE_NUMBER: () => {
      const { ordinal, isBehind } = found()
      return isBehind ? ordinal + 1 : ordinal
    },
    AFTER_SEQUENCE_NUMBER: () => found().ordinal + 1,
  }
  return ordinals[start.type]()
}

/** Only two of the types take a sequence number, and they need it. */
function refuseMixedPosition({ type, sequenceNumber: given }: ReadingPosition): void {
  const takesNumber = type === 'AT_SEQUENCE_NUMBER' || type === 'AFTER_SEQUENCE_NUMBER'
  if (takesNumber === (given !== undefined)) return
  throw invalidArgument(
    'AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER need a starting sequence number, and the other ' +
      `types take none. The request is for ${type} ${takesNumber ? 'without' : 'with'} one.`,
  )
}

function ordinalAtTime(context: OperationContext, shard: Shard, atMs: number | undefined): number {
  if (atMs === undefined) throw invalidArgument('AT_TIMESTAMP needs a Timestamp.')
  const nowMs = context.clock.wallMs()
  if (atMs > nowMs) {
    throw invalidArgument(
      `The timestamp cannot be later than now. Timestamp: ${atMs} ms, now: ${nowMs} ms.`,
    )
  }
  return Math.min(shard.log.firstArrivedSince(atMs), shard.readableEnd)
}

/** A position in a shard: a record or, if `isBehind`, the position directly behind it. */
interface ShardPosition {
  readonly ordinal: number
  readonly isBehind: boolean
}

function positionOf(
  context: OperationContext,
  stream: Stream,
  shard: Shard,
  given: string | undefined,
): ShardPosition {
  const parts = given === undefined ? undefined : parseSequenceNumber(given)
  const isOfShard = parts?.shardNumber === shard.number && parts.shardCreatedMs === shard.createdMs
  // A closed shard also has an ending sequence number, directly behind its last record.
  const endOrdinal = shard.log.nextOrdinal() + (shard.closedMs === undefined ? 0 : 1)
  if (!parts || !isOfShard || parts.ordinal >= endOrdinal) {
    throw invalidArgument(
      `StartingSequenceNumber ${given} does not belong to shard ${shard.id} in stream ` +
        `${stream.name} ` +
        `under account ${context.accountId}.`,
    )
  }
  // A ContinuationSequenceNumber has the ordinal of the record before it, and a later arrival time.
  const record = shard.log.at(parts.ordinal)
  const isBehind = record !== undefined && parts.arrivalMs > record.arrivalMs
  return { ordinal: parts.ordinal, isBehind }
}

export const getRecords = operation(
  'GetRecords',
  structure({
    ShardIterator: required(text({ min: 1, max: 512 })),
    Limit: resultsMax,
    StreamARN: streamArn,
    StreamId: streamId,
    DryRun: dryRun,
  }),
  (context, input, { wire }) => {
    const iterator = openIterator(context.tokens, input.ShardIterator)
    if (input.StreamARN !== undefined && streamNameOf(context, input) !== iterator.streamName) {
      throw invalidArgument(`The ShardIterator is not of stream ${input.StreamARN}.`)
    }
    const { stream, shard } = shardOfIterator(context, iterator)
    refuseDryRun(input.DryRun)
    const nowMs = context.clock.monotonicMs()
    if (!shard.limits.takeRead(nowMs)) throw rateExceeded(context, stream, shard)
    const limits = { recordsMax: input.Limit ?? recordsPerReadMax, bytesMax: bytesPerReadMax }
    const { records, sizeBytes, nextOrdinal } = readShard(shard, iterator.ordinal, limits, wire)
    shard.limits.spendRead(sizeBytes, nowMs)
    const at = { stream, shard, ordinal: nextOrdinal }
    const childShards = childShardsOf(shard, nextOrdinal)
    return {
      Records: records,
      // At the end of a closed shard there is no next iterator.
      ...(childShards
        ? { ChildShards: childShards }
        : { NextShardIterator: sealIterator(context.tokens, at) }),
      MillisBehindLatest: millisBehindLatest(shard, nextOrdinal, nowMs),
    }
  },
)

/** @throws ServiceError ResourceNotFoundException */
function shardOfIterator(
  context: OperationContext,
  iterator: ShardIterator,
): { readonly stream: Stream; readonly shard: Shard } {
  const stream = context.streams.find(iterator.streamName)
  if (stream) context.streams.trim(stream)
  const shard = stream?.shards.find((candidate) => candidate.number === iterator.shardNumber)
  if (!stream || !shard || stream.createdMs !== iterator.streamCreatedMs) {
    throw notFound(
      `The shard ${shardIdOf(iterator.shardNumber)} in stream ${iterator.streamName} of the ` +
        'ShardIterator no longer exists.',
    )
  }
  return { stream, shard }
}
