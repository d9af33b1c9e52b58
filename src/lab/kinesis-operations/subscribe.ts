import { ServiceError } from '../wire/service-error.ts'
import { createFanOutLimit } from '../streams/shard-limits.ts'
import type { Shard } from '../streams/stream.ts'
import { createSubscription } from '../streams/subscription.ts'
import { oneOf, required, structure, timestampMs } from '../wire/validation.ts'
import type { FanOutConsumer, Subscription } from '../streams/fan-out-consumer.ts'
import { consumerByArn } from './consumers.ts'
import {
  consumerArn,
  dryRun,
  refuseDryRun,
  sequenceNumber,
  shardId,
  shardOf,
  streamId,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { iteratorTypes, startingOrdinal } from './read.ts'

/** The shortest interval between two successful calls for the same consumer and shard. */
const resubscribeMinMs = 5_000

export const subscribeToShard = operation(
  'SubscribeToShard',
  structure({
    ConsumerARN: required(consumerArn),
    ShardId: required(shardId),
    StreamId: streamId,
    DryRun: dryRun,
    StartingPosition: required(
      structure({
        Type: required(oneOf(iteratorTypes)),
        SequenceNumber: sequenceNumber,
        Timestamp: timestampMs,
      }),
    ),
  }),
  (context, input, { wire }) => {
    const { stream, consumer } = consumerByArn(context, input.ConsumerARN)
    if (consumer.status !== 'ACTIVE') {
      throw new ServiceError(
        'ResourceInUseException',
        `Consumer ${consumer.arn} is not ACTIVE, instead in state ${consumer.status}.`,
      )
    }
    context.streams.trim(stream)
    const shard = shardOf(context, stream, input.ShardId)
    const { Type: type, SequenceNumber, Timestamp } = input.StartingPosition
    const position = { type, sequenceNumber: SequenceNumber, atMs: Timestamp }
    const ordinal = startingOrdinal(context, stream, shard, position)
    const last = lastSubscription(context, consumer, shard)
    refuseDryRun(input.DryRun)
    last?.end(takenOver(consumer, shard))
    const subscription = createSubscription({
      clock: context.clock,
      shard,
      ordinal,
      limit: createFanOutLimit(context.limits),
      wire,
      trim: () => context.streams.trim(stream),
    })
    // Subscriptions of shards that have expired are removed.
    const numbers = new Set(stream.shards.map(({ number }) => number))
    for (const number of consumer.subscriptions.keys()) {
      if (!numbers.has(number)) consumer.subscriptions.delete(number)
    }
    consumer.subscriptions.set(shard.number, subscription)
    return subscription.open
  },
)

/**
 * The subscription that the consumer had to the shard.
 * @throws ServiceError ResourceInUseException when it was granted less than 5 seconds ago
 */
function lastSubscription(
  { clock, limits }: OperationContext,
  consumer: FanOutConsumer,
  shard: Shard,
): Subscription | undefined {
  const last = consumer.subscriptions.get(shard.number)
  if (last && limits.fanOut && clock.monotonicMs() - last.startedMs < resubscribeMinMs) {
    throw new ServiceError(
      'ResourceInUseException',
      `Another active subscription exists for this consumer: ${consumer.arn} on ${shard.id} was ` +
        `subscribed to less than ${resubscribeMinMs} ms ago.`,
    )
  }
  return last
}

const takenOver = ({ arn }: FanOutConsumer, { id }: Shard) =>
  new ServiceError(
    'ResourceInUseException',
    `Another subscription of ${arn} to ${id} has taken over.`,
  )
