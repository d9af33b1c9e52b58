import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { integer, oneOf, required, structure } from '../wire/validation.ts'
import { hashKey, shardId, shardOf, streamMembers, streamOf } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'

/** The highest target of UpdateShardCount (API Reference). */
const shardsPerStreamMax = 10_000

export const splitShard = operation(
  'SplitShard',
  structure({
    ...streamMembers,
    ShardToSplit: required(shardId),
    NewStartingHashKey: required(hashKey),
  }),
  (context, input) => {
    const stream = provisionedStreamOf(context, input)
    const shard = openShardOf(context, stream, input.ShardToSplit)
    const at = BigInt(input.NewStartingHashKey)
    if (at <= shard.startingHashKey || at > shard.endingHashKey) {
      throw invalidArgument(
        `NewStartingHashKey ${at} used in SplitShard() on shard ${shard.id} in stream ` +
          `${stream.name} under account ${context.accountId} must be greater than the shard's ` +
          `StartingHashKey ${shard.startingHashKey} and not greater than its EndingHashKey ` +
          `${shard.endingHashKey}.`,
      )
    }
    context.streams.refuseTooManyShards(1)
    context.streams.update(stream, {
      kind: 'split',
      shardNumber: shard.number,
      hashKey: input.NewStartingHashKey,
    })
    return undefined
  },
)

export const mergeShards = operation(
  'MergeShards',
  structure({
    ...streamMembers,
    ShardToMerge: required(shardId),
    AdjacentShardToMerge: required(shardId),
  }),
  (context, input) => {
    const stream = provisionedStreamOf(context, input)
    const pair = [
      openShardOf(context, stream, input.ShardToMerge),
      openShardOf(context, stream, input.AdjacentShardToMerge),
    ] as const
    // The request may name the two shards in either order.
    const [first, second] =
      pair[0].startingHashKey < pair[1].startingHashKey ? pair : [pair[1], pair[0]]
    if (first.endingHashKey + 1n !== second.startingHashKey) {
      throw invalidArgument(
        `Shards ${pair[0].id} and ${pair[1].id} in stream ${stream.name} under account ` +
          `${context.accountId} are not an adjacent pair of shards eligible for merging.`,
      )
    }
    context.streams.update(stream, {
      kind: 'merge',
      firstNumber: first.number,
      secondNumber: second.number,
    })
    return undefined
  },
)

export const updateShardCount = operation(
  'UpdateShardCount',
  structure({
    ...streamMembers,
    TargetShardCount: required(integer({ min: 1 })),
    ScalingType: required(oneOf(['UNIFORM_SCALING'])),
  }),
  (context, input) => {
    const stream = provisionedStreamOf(context, input)
    const target = input.TargetShardCount
    const current = stream.openShards.length
    refuseTooFar(current, target)
    context.streams.refuseTooManyShards(Math.max(0, target - current))
    context.streams.update(stream, { kind: 'scale', shardCount: target })
    return {
      StreamName: stream.name,
      StreamARN: stream.arn,
      CurrentShardCount: current,
      TargetShardCount: target,
    }
  },
)

function refuseTooFar(current: number, target: number): void {
  const counts = `Current open shard count: ${current}, target shard count: ${target}.`
  const refuse = (what: string) => {
    throw new ServiceError('LimitExceededException', `UpdateShardCount cannot ${what}. ${counts}`)
  }
  if (target > current * 2) refuse('scale up over double the current open shard count')
  if (target < current / 2) refuse('scale down below half the current open shard count')
  if (target > shardsPerStreamMax) refuse(`scale up over ${shardsPerStreamMax} shards`)
}

/**
 * The stream of a request, if its mode lets the caller change its shards.
 * @throws ServiceError ValidationException for a stream in ON_DEMAND mode; as `streamOf`
 */
function provisionedStreamOf(
  context: OperationContext,
  input: Parameters<typeof streamOf>[1],
): Stream {
  const stream = streamOf(context, input)
  if (stream.mode === 'PROVISIONED') return stream
  throw new ServiceError(
    'ValidationException',
    `Stream ${stream.name} under account ${context.accountId} is in ON_DEMAND mode: only the ` +
      'shards of a stream in PROVISIONED mode can be split, merged or scaled.',
  )
}

/** @throws ServiceError ResourceNotFoundException, InvalidArgumentException for a closed shard */
function openShardOf(context: OperationContext, stream: Stream, id: string): Shard {
  const shard = shardOf(context, stream, id)
  if (shard.closedMs === undefined) return shard
  throw invalidArgument(
    `Shard ${shard.id} in stream ${stream.name} under account ${context.accountId} has already ` +
      'been merged or split, and thus is not eligible for merging or splitting.',
  )
}
