import {
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  KinesisClient,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import type { KinesisClientConfig, SubscribeToShardEventStream } from '@aws-sdk/client-kinesis'
import { NodeHttp2Handler } from '@smithy/node-http-handler'
import { consumerOf, given } from './kinesis-shapes.ts'
import type { ShardPosition } from './shard-reader.ts'

/** The calls of enhanced fan-out. Each call is one attempt. */
export interface ConsumerCalls {
  /** Resolves when the response has begun; its events last at most five minutes. */
  subscribeToShard(
    subscription: { readonly consumerArn: string; readonly shardId: string },
    from: ShardPosition,
    signal: AbortSignal,
  ): Promise<AsyncIterable<SubscribeToShardEventStream>>
  registerConsumer(name: string): Promise<RegisteredConsumer>
  describeConsumer(consumer: {
    readonly name: string
    readonly arn?: string
  }): Promise<RegisteredConsumer>
  deregisterConsumer(consumerArn: string): Promise<void>
}

interface RegisteredConsumer {
  readonly arn: string
  readonly status: string
}

/** A subscription sends an event every five seconds; one that is silent for so long is lost. */
const silenceMaxMs = 20_000

/** @param config the configuration of the client for subscriptions, made at the first one */
export function createConsumerCalls(
  client: KinesisClient,
  config: KinesisClientConfig,
  streamArn: () => Promise<string>,
): ConsumerCalls & { close(): void } {
  let subscriber: KinesisClient | undefined
  return {
    async subscribeToShard(
      subscription: { readonly consumerArn: string; readonly shardId: string },
      from: ShardPosition,
      signal: AbortSignal,
    ) {
      subscriber ??= createSubscriber(config)
      const { EventStream } = await subscriber.send(
        new SubscribeToShardCommand({
          ConsumerARN: subscription.consumerArn,
          ShardId: subscription.shardId,
          StartingPosition: {
            Type: from.type,
            ...('sequenceNumber' in from && { SequenceNumber: from.sequenceNumber }),
            ...('timestampMs' in from && { Timestamp: new Date(from.timestampMs) }),
          },
        }),
        { abortSignal: signal },
      )
      return given(EventStream, 'EventStream')
    },
    async registerConsumer(name: string) {
      const { Consumer } = await client.send(
        new RegisterStreamConsumerCommand({ StreamARN: await streamArn(), ConsumerName: name }),
      )
      return consumerOf(Consumer)
    },
    async describeConsumer({ name, arn }: { readonly name: string; readonly arn?: string }) {
      const { ConsumerDescription } = await client.send(
        new DescribeStreamConsumerCommand(
          arn === undefined
            ? { StreamARN: await streamArn(), ConsumerName: name }
            : { ConsumerARN: arn },
        ),
      )
      return consumerOf(ConsumerDescription)
    },
    async deregisterConsumer(consumerArn: string) {
      await client.send(new DeregisterStreamConsumerCommand({ ConsumerARN: consumerArn }))
    },
    close: () => subscriber?.destroy(),
  }
}

/** SubscribeToShard needs HTTP/2; the other calls are cheaper over HTTP/1.1. */
function createSubscriber(config: KinesisClientConfig): KinesisClient {
  return new KinesisClient({
    ...config,
    requestHandler: new NodeHttp2Handler({ requestTimeout: silenceMaxMs }),
  })
}
