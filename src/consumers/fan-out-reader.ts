import type { SubscribeToShardEvent, SubscribeToShardEventStream } from '@aws-sdk/client-kinesis'
import type { Clock } from '../base/clock.ts'
import { nameOf } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { childrenOf, recordOf } from './kinesis-shapes.ts'
import { createShardReader } from './shard-reader.ts'
import type {
  ReadOnce,
  ShardPosition,
  ShardRead,
  ShardReader,
  ShardReaderDependencies,
} from './shard-reader.ts'

/**
 * The interval between two subscriptions of one consumer to one shard: the service refuses an
 * earlier one (API Reference, SubscribeToShard: ResourceInUseException within 5 seconds).
 */
const resubscribeIntervalMs = 5_000
/** The delivery time of an event, which the time of a read allows for. */
const deliveryMsMax = 500
const backoffOptions = {
  firstDelayMs: 1_000,
  delayMsMax: 10_000,
  text: 'a subscription to a shard was lost or refused; the reader subscribes again',
}

/**
 * Reads shards by SubscribeToShard: the service pushes records as they arrive, up to 2 MiB/s for
 * each shard and consumer. A subscription lasts five minutes. Each of its events, also one without
 * records, says where the next subscription has to begin.
 */
export function createFanOutReader(
  dependencies: ShardReaderDependencies & {
    readonly reads: Pick<KinesisReads, 'serviceNowMs' | 'subscribeToShard'>
  },
  { consumerArn }: { readonly consumerArn: string },
): ShardReader {
  const { reads, clock } = dependencies

  const open = (shardId: string): ReadOnce =>
    async function* readOnce(from, signal) {
      const startedMs = clock.monotonicMs()
      const events = await reads.subscribeToShard({ consumerArn, shardId }, from, signal)
      if (from.type === 'LATEST') from.onTaken?.()
      for await (const event of until(events, signal)) {
        const read = readOf(event, {
          asOfMs: reads.serviceNowMs() - deliveryMsMax,
          readMs: clock.monotonicMs() - deliveryMsMax,
        })
        yield { read, position: positionBehind(event) }
      }
      // The subscription has expired after its five minutes, or it was cut off at once.
      const pauseMs = resubscribeIntervalMs - (clock.monotonicMs() - startedMs)
      if (pauseMs > 0) await clock.sleep(pauseMs, signal)
    }

  return createShardReader(dependencies, backoffOptions, open)
}

function positionBehind(event: SubscribeToShardEvent): ShardPosition | undefined {
  const { ContinuationSequenceNumber: sequenceNumber } = event
  return sequenceNumber ? { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber } : undefined
}

/** Yields the events of a subscription until it expires. @throws the error that it sends */
async function* until(
  events: AsyncIterable<SubscribeToShardEventStream>,
  signal: AbortSignal,
): AsyncGenerator<SubscribeToShardEvent, void> {
  for await (const message of events) {
    if (signal.aborted) return
    if (message.SubscribeToShardEvent) {
      yield message.SubscribeToShardEvent
      continue
    }
    const failure = Object.values(message).find((value) => value instanceof Error)
    if (failure) throw failure
  }
}

function readOf(
  event: SubscribeToShardEvent,
  times: Pick<ShardRead, 'asOfMs' | 'readMs'>,
): ShardRead {
  // The last event of a shard names its children and has no ContinuationSequenceNumber.
  const children = event.ChildShards ?? []
  return {
    records: (event.Records ?? []).map(recordOf),
    millisBehindLatest: event.MillisBehindLatest ?? 0,
    ...times,
    ...(children.length > 0 && { end: { children: childrenOf(children) } }),
  }
}

const activeWaitMsMax = 300_000
const statusIntervalMs = 500

/**
 * Finds or registers the consumer of this name, and waits until it can subscribe.
 *
 * @returns its ARN, and whether this call registered it
 * @throws errors of the client; Error when the consumer is not ACTIVE within five minutes
 */
export async function ensureConsumer(
  { reads, clock }: { readonly reads: KinesisReads; readonly clock: Clock },
  name: string,
  signal: AbortSignal,
): Promise<{ readonly arn: string; readonly isNew: boolean }> {
  const { consumer, isNew } = await findOrRegister(reads, name, signal)
  await untilActive({ reads, clock }, { name, arn: consumer.arn }, signal)
  return { arn: consumer.arn, isNew }
}

async function findOrRegister(reads: KinesisReads, name: string, signal: AbortSignal) {
  try {
    const consumer = await reads.describeConsumer({ name }, signal)
    if (consumer.status !== 'DELETING') return { consumer, isNew: false }
  } catch (thrown) {
    if (nameOf(thrown) !== 'ResourceNotFoundException') throw thrown
  }
  try {
    return { consumer: await reads.registerConsumer(name, signal), isNew: true }
  } catch (thrown) {
    // Another process registered it in between.
    if (nameOf(thrown) !== 'ResourceInUseException') throw thrown
    return { consumer: await reads.describeConsumer({ name }, signal), isNew: false }
  }
}

/** @throws errors of the client; Error when the consumer is not ACTIVE within five minutes */
export async function untilActive(
  {
    reads,
    clock,
  }: { readonly reads: Pick<KinesisReads, 'describeConsumer'>; readonly clock: Clock },
  consumer: { readonly name: string; readonly arn: string },
  signal: AbortSignal,
): Promise<void> {
  const startedMs = clock.monotonicMs()
  while (!signal.aborted) {
    const { status } = await reads.describeConsumer(consumer, signal)
    if (status === 'ACTIVE') return
    if (clock.monotonicMs() - startedMs > activeWaitMsMax) {
      throw new Error(`the consumer ${consumer.name} is still ${status}`)
    }
    await clock.sleep(statusIntervalMs, signal)
  }
}
