import { hashKeySpace } from '../../base/hash-key.ts'
import { sequenceNumberPattern } from '../streams/sequence-number.ts'
import { ServiceError, invalidArgument, notFound } from '../wire/service-error.ts'
import { shardNumberOf } from '../streams/stream.ts'
import type { Shard, Stream, StreamMode } from '../streams/stream.ts'
import {
  boolean,
  integer,
  map,
  oneOf,
  refused,
  required,
  structure,
  text,
} from '../wire/validation.ts'
import type { OperationContext } from './operation.ts'

/** Members of several operations, with the constraints of the Kinesis API Reference. */
export const streamName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const streamArn = text({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+',
})
/** AWS has reserved this member, and no stream has such an id. */
export const streamId = refused('it is reserved by AWS')
export const shardId = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const hashKey = text({ pattern: '0|([1-9]\\d{0,38})' })
export const partitionKey = text({ min: 1, max: 256 })
export const sequenceNumber = text({ pattern: sequenceNumberPattern })
export const nextToken = text({ min: 1, max: 1_048_576 })
export const resultsMax = integer({ min: 1, max: 10_000 })
export const tagKey = text({ min: 1, max: 128 })
export const tags = map(tagKey, text({ max: 256 }), { min: 1, max: 200 })

export const maxRecordSizeInKiB = integer({ min: 1024, max: 10_240 })
export const streamModeDetails = structure({
  StreamMode: required(oneOf(['PROVISIONED', 'ON_DEMAND'])),
})
export const distributionStrategy = oneOf(['AUTO', 'USER_PARTITION_KEY'])

/** @throws ServiceError InvalidArgumentException for a stream that distributes nothing by itself */
export function refuseDistribution(mode: StreamMode): void {
  if (mode === 'ON_DEMAND') return
  throw invalidArgument('RecordDistributionStrategy is only for streams in ON_DEMAND mode.')
}

export const consumerName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const consumerArn = text({
  min: 1,
  max: 2048,
  pattern:
    'arn:aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+',
})

/** The members that name a stream, in every operation on a stream. */
export const streamMembers = {
  StreamName: streamName,
  StreamARN: streamArn,
  StreamId: streamId,
} as const

/** Asks whether a request would succeed, without carrying it out. */
export const dryRun = boolean

/**
 * Call it when everything about a request is checked, and before it is carried out.
 * @throws ServiceError DryRunOperationException when the request is a dry run
 */
export function refuseDryRun(isDryRun: boolean | undefined): void {
  if (!isDryRun) return
  const message = 'The request would have succeeded, but the DryRun parameter was set.'
  throw new ServiceError('DryRunOperationException', message)
}

export interface StreamNaming {
  readonly StreamName?: string
  readonly StreamARN?: string
}

/**
 * The name of the stream of a request.
 *
 * @throws ServiceError InvalidArgumentException when the request names no stream, or two;
 *   ResourceNotFoundException for an ARN of another account or region
 */
export function streamNameOf(context: OperationContext, input: StreamNaming): string {
  const { StreamName: name, StreamARN: arn } = input
  if (arn === undefined) {
    if (name === undefined) throw invalidArgument('Either StreamName or StreamARN must be given.')
    return name
  }
  const [, , , region, accountId, resource = ''] = arn.split(':')
  const named = resource.slice('stream/'.length)
  if (name !== undefined && name !== named) {
    throw invalidArgument(`StreamName ${name} and StreamARN ${arn} do not name the same stream.`)
  }
  if (region !== context.region || accountId !== context.accountId) {
    throw notFound(`Stream ${named} under account ${accountId} not found.`)
  }
  return named
}

/** The stream of a request. @throws ServiceError as `streamNameOf`; ResourceNotFoundException */
export const streamOf = (context: OperationContext, input: StreamNaming): Stream =>
  context.streams.get(streamNameOf(context, input))

/**
 * Refuses reads and writes of a stream that is being created, as if it did not exist.
 * @throws ServiceError ResourceNotFoundException
 */
export function refuseUnready({ accountId }: OperationContext, { name, status }: Stream): void {
  if (status !== 'CREATING') return
  throw notFound(`Stream ${name} under account ${accountId} not found: it is being created.`)
}

/** The shard of that id. @throws ServiceError ResourceNotFoundException */
export function shardOf(context: OperationContext, stream: Stream, id: string): Shard {
  const number = shardNumberOf(id)
  const shard = stream.shards.find((candidate) => candidate.number === number)
  if (!shard) {
    throw notFound(
      `Could not find shard ${id} in stream ${stream.name} under account ${context.accountId}.`,
    )
  }
  return shard
}

/**
 * The shards behind the one of that id, which a listing begins after.
 * @throws ServiceError ResourceNotFoundException for a text that cannot be the id of a shard
 */
export function isAfterShard(
  { accountId }: OperationContext,
  { name }: Stream,
  id: string | undefined,
): (shard: Shard) => boolean {
  if (id === undefined) return () => true
  const after = shardNumberOf(id)
  if (after === undefined) {
    throw notFound(`Could not find shard ${id} in stream ${name} under account ${accountId}.`)
  }
  return ({ number }) => number > after
}

/** An ExplicitHashKey as a number. @throws ServiceError InvalidArgumentException past 2^128 - 1 */
export function explicitHashKeyOf(digits: string | undefined): bigint | undefined {
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  if (value >= hashKeySpace) {
    throw invalidArgument(
      `Invalid ExplicitHashKey. It must be in the range [0, 2^128-1]. Given was ${digits}.`,
    )
  }
  return value
}

/** Kinesis's message for a shard that is over its limits, for a call or one of its records. */
export const rateExceededMessage = (context: OperationContext, stream: Stream, shard: Shard) =>
  `Rate exceeded for shard ${shard.id} in stream ${stream.name} under account ${context.accountId}.`

export const rateExceeded = (context: OperationContext, stream: Stream, shard: Shard) =>
  new ServiceError(
    'ProvisionedThroughputExceededException',
    rateExceededMessage(context, stream, shard),
  )
