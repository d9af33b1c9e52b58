import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { createConsumerCalls } from './consumer-calls.ts'
import type { ConsumerCalls } from './consumer-calls.ts'
import type { KinesisAccess } from './kinesis-access.ts'
import { given, shardOf } from './kinesis-shapes.ts'
import type { ShardDescription, ShardPosition } from './shard-reader.ts'

/** All calls that read a stream. Each call is one attempt. */
export interface KinesisReads extends ConsumerCalls {
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

const connectionTimeoutMs = 5_000
const requestTimeoutMs = 30_000

/** @param stream the name or the ARN of the stream */
export function createKinesisReads(access: KinesisAccess, stream: string): KinesisReads {
  const shared = { ...access, maxAttempts: 1 }
  const client = new KinesisClient({
    ...shared,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
    }),
  })
  const isArn = stream.startsWith('arn:')
  const reference = isArn ? { StreamARN: stream } : { StreamName: stream }
  let identity: Promise<StreamIdentity> | undefined

  const describeStream = async (signal?: AbortSignal) => {
    const { StreamDescriptionSummary: found } = await client.send(
      new DescribeStreamSummaryCommand(reference),
      optionsOf(signal),
    )
    const arn = given(found?.StreamARN, 'StreamARN')
    return { arn, createdMs: found?.StreamCreationTimestamp?.getTime() ?? 0 }
  }
  const streamArn = async () => {
    if (isArn) return stream
    identity ??= describeStream()
    return (await identity).arn
  }

  const consumerCalls = createConsumerCalls(client, shared, streamArn)

  return {
    describeStream,
    async listShards(signal?: AbortSignal) {
      const shards: ShardDescription[] = []
      let nextToken: string | undefined
      do {
        // The API accepts the name with the first page only; the token replaces it afterwards.
        const page = await client.send(
          new ListShardsCommand(nextToken ? { NextToken: nextToken } : reference),
          optionsOf(signal),
        )
        shards.push(...(page.Shards ?? []).map(shardOf))
        nextToken = page.NextToken
      } while (nextToken)
      return shards
    },
    async shardIterator(shardId: string, from: ShardPosition, signal: AbortSignal) {
      const { ShardIterator } = await client.send(
        new GetShardIteratorCommand({
          ...reference,
          ShardId: shardId,
          ShardIteratorType: from.type,
          ...('sequenceNumber' in from && { StartingSequenceNumber: from.sequenceNumber }),
          ...('timestampMs' in from && { Timestamp: new Date(from.timestampMs) }),
        }),
        { abortSignal: signal },
      )
      return given(ShardIterator, 'ShardIterator')
    },
    getRecords: (iterator: string, limit: number, signal: AbortSignal) =>
      client.send(
        new GetRecordsCommand({
          ShardIterator: iterator,
          Limit: limit,
          ...(isArn && { StreamARN: stream }),
        }),
        { abortSignal: signal },
      ),
    ...consumerCalls,
    close() {
      client.destroy()
      consumerCalls.close()
    },
  }
}

const optionsOf = (signal: AbortSignal | undefined) =>
  signal === undefined ? {} : { abortSignal: signal }
