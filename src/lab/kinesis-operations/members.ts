import { hashKeySpace } from '../../base/hash-key.ts'
import { sequenceNumberPattern } from '../streams/sequence-number.ts'
import { ServiceError, invalidArgument, notFound } from '../wire/service-error.ts'
import { shardIdOf } from '../streams/stream.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { integer, map, oneOf, required, structure, text } from '../wire/validation.ts'
import type { OperationContext } from './operation.ts'

/** Members of several operations, with the constraints of the Kinesis API Reference. */
export const streamName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const streamArn = text({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+',
})
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
export const consumerName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
export const consumerArn = text({
  min: 1,
  max: 2048,
  pattern:
    'arn:aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+',
})

/** The two members that name a stream, in every operation on a stream. */
export const streamMembers = { StreamName: streamName, StreamARN: streamArn } as const

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
 * The number in a shard id; Kinesis accepts any name before the dash.
 * @returns -1 for a text that cannot be a shard's id
 */
function shardNumberOf(id: string): number {
  const digits = /^[a-zA-Z0-9_.]*-?(\d{1,12})$/.exec(id)?.[1]
  return digits !== undefined && shardIdOf(Number(digits)) === id ? Number(digits) : -1
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
