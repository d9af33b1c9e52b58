import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { createConsumerCalls } from './consumer-calls.ts'
import type { ConsumerCalls, LimitedCall } from './consumer-calls.ts'
import type { KinesisAccess } from './kinesis-access.ts'
import { given, shardOf } from './kinesis-shapes.ts'
import { limitedCall } from './limited-call.ts'
import { createServiceClock } from './service-clock.ts'
import type { ServiceClock } from './service-clock.ts'
import type { ShardDescription, ShardPosition } from './shard-reader.ts'

/**
 * All calls that read a stream. Each call is one attempt with a time limit, after which it rejects
 * with an error named TimeoutError; it also ends when its signal aborts.
 */
export interface KinesisReads extends ConsumerCalls {
  /** A name of the shard that no other shard has that this process reads. */
  nameOfShard(shardId: string): string
  /** The time of day of the service, in epoch milliseconds: see service-clock.ts. */
  serviceNowMs(): number
  describeStream(signal?: AbortSignal): Promise<StreamIdentity>
  /** All shards whose records can still be read, open and closed. */
  listShards(signal?: AbortSignal): Promise<readonly ShardDescription[]>
  shardIterator(shardId: string, from: ShardPosition, signal: AbortSignal): Promise<string>
  getRecords(iterator: string, limit: number, signal: AbortSignal): Promise<GetRecordsOutput>
  /** Ends all connections. */
  close(): void
}

/** Tells a stream from another one of the same name that was made after its deletion. */
interface StreamIdentity {
  readonly arn: string
  /** Epoch milliseconds. */
  readonly createdMs: number
}

interface KinesisReadsOptions {
  readonly clock?: Clock | undefined
  /** The time limit of each call, from connecting to the end of the response. */
  readonly callTimeoutMs?: number | undefined
  /** A subscription without an event for so long is lost: the service sends one every 5 seconds. */
  readonly silenceMsMax?: number | undefined
}

const connectionTimeoutMs = 5_000
const callTimeoutMsDefault = 30_000
const silenceMsMaxDefault = 20_000

/** @param stream the name or the ARN of the stream */
export function createKinesisReads(
  access: KinesisAccess,
  stream: string,
  options: KinesisReadsOptions = {},
): KinesisReads {
  const { clock = systemClock, callTimeoutMs: timeoutMs = callTimeoutMsDefault } = options
  const config = { ...access, maxAttempts: 1 }
  const serviceClock = createServiceClock(clock)
  const client = new KinesisClient({ ...config, requestHandler: createHandler(timeoutMs) })
  noteTimes(client, serviceClock)
  const isArn = stream.startsWith('arn:')
  const reference = isArn ? { StreamARN: stream } : { StreamName: stream }
  /** The ARN as soon as it is known, so that one stream has one name. */
  let streamName = stream

  function limited<Answer>(
    call: (signal: AbortSignal) => Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    return limitedCall(clock, { timeoutMs, signal }, call)
  }

  const describeStream = (signal?: AbortSignal) =>
    limited(async (abortSignal) => {
      const command = new DescribeStreamSummaryCommand(reference)
      const { StreamDescriptionSummary: found } = await client.send(command, { abortSignal })
      const arn = given(found?.StreamARN, 'StreamARN')
      streamName = arn
      return { arn, createdMs: found?.StreamCreationTimestamp?.getTime() ?? 0 }
    }, signal)

  const streamArn = async (signal: AbortSignal | undefined) =>
    isArn ? stream : (await describeStream(signal)).arn

  const consumerCalls = createConsumerCalls(
    { clock, client, limited, streamArn },
    { config, silenceMsMax: options.silenceMsMax ?? silenceMsMaxDefault },
  )

  return {
    nameOfShard: (shardId) => [access.endpoint ?? '', streamName, shardId].join(' '),
    serviceNowMs: () => serviceClock.nowMs(),
    describeStream,
    async listShards(signal?: AbortSignal) {
      const shards: ShardDescription[] = []
      let nextToken: string | undefined
      do {
        // The API accepts the name with the first page only; the token replaces it afterwards.
        const command = new ListShardsCommand(nextToken ? { NextToken: nextToken } : reference)
        const page = await limited((abortSignal) => client.send(command, { abortSignal }), signal)
        shards.push(...(page.Shards ?? []).map(shardOf))
        nextToken = page.NextToken
      } while (nextToken)
      return shards
    },
    ...createShardCalls(client, limited, reference),
    ...consumerCalls,
    close() {
      client.destroy()
      consumerCalls.close()
    },
  }
}

/** The calls that read one shard. */
function createShardCalls(
  client: KinesisClient,
  limited: LimitedCall,
  reference: { readonly StreamARN: string } | { readonly StreamName: string },
): Pick<KinesisReads, 'shardIterator' | 'getRecords'> {
  return {
    async shardIterator(shardId: string, from: ShardPosition, signal: AbortSignal) {
      const command = new GetShardIteratorCommand({
        ...reference,
        ShardId: shardId,
        ShardIteratorType: from.type,
        ...('sequenceNumber' in from && { StartingSequenceNumber: from.sequenceNumber }),
        ...('timestampMs' in from && { Timestamp: new Date(from.timestampMs) }),
      })
      const answer = await limited((abortSignal) => client.send(command, { abortSignal }), signal)
      return given(answer.ShardIterator, 'ShardIterator')
    },
    getRecords(iterator: string, limit: number, signal: AbortSignal) {
      const command = new GetRecordsCommand({
        ShardIterator: iterator,
        Limit: limit,
        ...('StreamARN' in reference && reference),
      })
      return limited((abortSignal) => client.send(command, { abortSignal }), signal)
    },
  }
}

/** Notes the times of all answers, also of those that are errors. */
function noteTimes(client: KinesisClient, serviceClock: ServiceClock): void {
  client.middlewareStack.add(
    (next) => async (call) => {
      try {
        const result = await next(call)
        serviceClock.note(dateOf(result.response))
        return result
      } catch (thrown) {
        const isAnswer = thrown instanceof Error && '$response' in thrown
        if (isAnswer) serviceClock.note(dateOf(thrown.$response))
        throw thrown
      }
    },
    { step: 'deserialize', name: 'noteServiceTime', priority: 'high' },
  )
}

function dateOf(response: unknown): string | undefined {
  const { headers } = (response ?? {}) as { headers?: Readonly<Record<string, string>> }
  return headers?.['date']
}

const createHandler = (timeoutMs: number) =>
  new NodeHttpHandler({
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    throwOnRequestTimeout: true,
  })
