import {
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  KinesisClient,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import type { KinesisClientConfig, SubscribeToShardEventStream } from '@aws-sdk/client-kinesis'
import { NodeHttp2Handler } from '@smithy/node-http-handler'
import type { Clock } from '../base/clock.ts'
import { consumerOf, given } from './kinesis-shapes.ts'
import { limitedCall } from './limited-call.ts'
import type { CallLimits } from './limited-call.ts'
import type { ShardPosition } from './shard-reader.ts'

/** The calls of enhanced fan-out. Each call is one attempt. */
export interface ConsumerCalls {
  /** Resolves when the response has begun; its events last at most five minutes. */
  subscribeToShard(
    subscription: { readonly consumerArn: string; readonly shardId: string },
    from: ShardPosition,
    signal: AbortSignal,
  ): Promise<AsyncIterable<SubscribeToShardEventStream>>
  registerConsumer(name: string, signal?: AbortSignal): Promise<RegisteredConsumer>
  describeConsumer(consumer: NamedConsumer, signal?: AbortSignal): Promise<RegisteredConsumer>
  deregisterConsumer(consumerArn: string, signal?: AbortSignal): Promise<void>
}

interface NamedConsumer {
  readonly name: string
  /** Takes precedence over the name. */
  readonly arn?: string | undefined
}

interface RegisteredConsumer {
  readonly arn: string
  readonly status: string
}

/** Makes a call with the time limit of all calls. */
export type LimitedCall = <Answer>(
  call: (signal: AbortSignal) => Promise<Answer>,
  signal: AbortSignal | undefined,
) => Promise<Answer>

interface ConsumerCallsDependencies {
  readonly clock: Clock
  readonly client: KinesisClient
  readonly limited: LimitedCall
  readonly streamArn: (signal: AbortSignal | undefined) => Promise<string>
}

interface ConsumerCallsOptions {
  /** The configuration of the client for subscriptions, which is made at the first one. */
  readonly config: KinesisClientConfig
  /** A subscription without an event for so long is lost: the service sends one every 5 seconds. */
  readonly silenceMsMax: number
}

export function createConsumerCalls(
  { clock, client, limited, streamArn }: ConsumerCallsDependencies,
  { config, silenceMsMax }: ConsumerCallsOptions,
): ConsumerCalls & { close(): void } {
  let subscriber: KinesisClient | undefined
  return {
    async subscribeToShard({ consumerArn, shardId }, from, signal) {
      subscriber ??= createSubscriber(config)
      const subscribing = subscriber
      const ended = new AbortController()
      const command = new SubscribeToShardCommand({
        ConsumerARN: consumerArn,
        ShardId: shardId,
        StartingPosition: {
          Type: from.type,
          ...('sequenceNumber' in from && { SequenceNumber: from.sequenceNumber }),
          ...('timestampMs' in from && { Timestamp: new Date(from.timestampMs) }),
        },
      })
      const { EventStream } = await limited(
        (limit) =>
          subscribing.send(command, { abortSignal: AbortSignal.any([limit, ended.signal]) }),
        signal,
      )
      const events = given(EventStream, 'EventStream')
      return untilSilent(clock, events, { timeoutMs: silenceMsMax, signal }, () => ended.abort())
    },
    registerConsumer: (name, signal) =>
      limited(async (abortSignal) => {
        const reference = { StreamARN: await streamArn(abortSignal), ConsumerName: name }
        const command = new RegisterStreamConsumerCommand(reference)
        const { Consumer } = await client.send(command, { abortSignal })
        return consumerOf(Consumer)
      }, signal),
    describeConsumer: ({ name, arn }, signal) =>
      limited(async (abortSignal) => {
        const reference =
          arn === undefined
            ? { StreamARN: await streamArn(abortSignal), ConsumerName: name }
            : { ConsumerARN: arn }
        const command = new DescribeStreamConsumerCommand(reference)
        const { ConsumerDescription } = await client.send(command, { abortSignal })
        return consumerOf(ConsumerDescription)
      }, signal),
    deregisterConsumer: (consumerArn, signal) =>
      limited(async (abortSignal) => {
        const command = new DeregisterStreamConsumerCommand({ ConsumerARN: consumerArn })
        await client.send(command, { abortSignal })
      }, signal),
    close: () => subscriber?.destroy(),
  }
}

/**
 * Yields events until the end of a subscription.
 *
 * @param end closes the connection; it is called in any case
 * @throws Error named TimeoutError when no event comes for `timeoutMs`
 */
async function* untilSilent<Event>(
  clock: Clock,
  events: AsyncIterable<Event>,
  limits: CallLimits,
  end: () => void,
): AsyncGenerator<Event, void> {
  const iterator = events[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await limitedCall(clock, limits, () => iterator.next())
      if (next.done) return
      yield next.value
    }
  } finally {
    end()
    // The iterator may still wait for its next event: closing the connection ends that, too.
    iterator.return?.().catch(() => undefined)
  }
}

/** SubscribeToShard needs HTTP/2; the other calls are cheaper over HTTP/1.1. */
function createSubscriber(config: KinesisClientConfig): KinesisClient {
  return new KinesisClient({ ...config, requestHandler: new NodeHttp2Handler() })
}
