import type { SubscribeToShardEvent, SubscribeToShardEventStream } from '@aws-sdk/client-kinesis'
import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { createPatience, isCurable, nameOf } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { childrenOf, recordOf } from './kinesis-shapes.ts'
import type { ShardPosition, ShardRead, ShardReader } from './shard-reader.ts'

/**
 * Between two subscriptions of one consumer to one shard: sooner the service refuses the second
 * (API Reference, SubscribeToShard: ResourceInUseException within 5 seconds).
 */
const resubscribeIntervalMs = 5_000
/** What an event takes to get here, at most and as a rule. */
const deliveryMsMax = 500
const retryDelaysMs = { firstDelayMs: 1_000, delayMsMax: 10_000 }

/**
 * Reads shards by SubscribeToShard: the service pushes records as they arrive, up to 2 MiB/s for
 * each shard and consumer. A subscription lasts five minutes; the next one begins where the last
 * one says that it ended, which also holds while a shard is idle.
 */
export function createFanOutReader(
  dependencies: {
    readonly reads: Pick<KinesisReads, 'subscribeToShard'>
    readonly clock: Clock
    readonly logger: WarningLog
  },
  { consumerArn }: { readonly consumerArn: string },
): ShardReader {
  const { reads, clock } = dependencies

  async function* read(
    shardId: string,
    from: ShardPosition,
    signal: AbortSignal,
  ): AsyncGenerator<ShardRead, void> {
    const patience = createPatience(dependencies, {
      ...retryDelaysMs,
      text: 'a subscription to a shard was lost or refused; it is made again',
      fields: { shardId },
    })
    let position = from
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs()
      try {
        const events = await reads.subscribeToShard({ consumerArn, shardId }, position, signal)
        for await (const event of until(events, signal)) {
          const { ContinuationSequenceNumber: sequenceNumber } = event
          if (sequenceNumber) position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber }
          patience.success()
          const next = readOf(event, {
            asOfMs: clock.wallMs() - deliveryMsMax,
            readMs: clock.monotonicMs() - deliveryMsMax,
          })
          yield next
          if (next.end) return
        }
      } catch (thrown) {
        if (signal.aborted) return
        if (!isCurable(thrown)) throw thrown
        await patience.afterFailure(thrown, signal)
        continue
      }
      // It has expired, which it does after five minutes; or it was cut off at once.
      const pauseMs = resubscribeIntervalMs - (clock.monotonicMs() - startedMs)
      if (pauseMs > 0) await clock.sleep(pauseMs, signal)
    }
  }
  return { read }
}

/** The events of a subscription; what it says instead of one is thrown. Ends when it expires. */
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
  // The last event of a shard names its children, and nothing to go on from.
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
 * The consumer of this name, registered when it is not there, and ready to subscribe.
 *
 * @returns its ARN, and whether it was registered here
 * @throws what the client throws; Error when it is not ACTIVE within five minutes
 */
export async function ensureConsumer(
  { reads, clock }: { readonly reads: KinesisReads; readonly clock: Clock },
  name: string,
  signal: AbortSignal,
): Promise<{ readonly arn: string; readonly isNew: boolean }> {
  const { consumer, isNew } = await findOrRegister(reads, name)
  await untilActive({ reads, clock }, { name, arn: consumer.arn }, signal)
  return { arn: consumer.arn, isNew }
}

async function findOrRegister(reads: KinesisReads, name: string) {
  try {
    const consumer = await reads.describeConsumer({ name })
    if (consumer.status !== 'DELETING') return { consumer, isNew: false }
  } catch (thrown) {
    if (nameOf(thrown) !== 'ResourceNotFoundException') throw thrown
  }
  try {
    return { consumer: await reads.registerConsumer(name), isNew: true }
  } catch (thrown) {
    // Another process was faster.
    if (nameOf(thrown) !== 'ResourceInUseException') throw thrown
    return { consumer: await reads.describeConsumer({ name }), isNew: false }
  }
}

/** @throws what the client throws; Error when it is not ACTIVE within five minutes */
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
    const { status } = await reads.describeConsumer(consumer)
    if (status === 'ACTIVE') return
    if (clock.monotonicMs() - startedMs > activeWaitMsMax) {
      throw new Error(`the consumer ${consumer.name} is still ${status}`)
    }
    await clock.sleep(statusIntervalMs, signal)
  }
}
