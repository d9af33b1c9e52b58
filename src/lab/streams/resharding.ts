import type { Clock } from '../../base/clock.ts'
import { hashKeySpace } from '../../base/hash-key.ts'
import type { Shard, Stream } from './stream.ts'

/**
 * Splitting and merging: a shard is closed permanently, and new shards take over its range (Kinesis
 * Developer Guide, "Reshard a Stream"). Its records stay readable until they expire.
 */
export interface NewShard {
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  /** One or two parents, in the order of their ranges. */
  readonly parents: readonly Shard[]
}

/** Makes a shard of the stream, without adding it to the stream's shards. */
export type MakeShard = (stream: Stream, shard: NewShard) => Shard

export interface ReshardingContext {
  readonly stream: Stream
  readonly makeShard: MakeShard
  readonly clock: Clock
}

/** Splits an open shard in two; the second begins at `hashKey`, which is inside its range. */
export function splitOpenShard(resharding: ReshardingContext, shard: Shard, hashKey: bigint): void {
  const { stream, makeShard } = resharding
  const { startingHashKey, endingHashKey } = shard
  const parents = [shard]
  const low = makeShard(stream, { startingHashKey, endingHashKey: hashKey - 1n, parents })
  const high = makeShard(stream, { startingHashKey: hashKey, endingHashKey, parents })
  replace(resharding, [shard], [low, high])
}

/** Merges two open shards; the second begins where the first ends. */
export function mergeOpenShards(resharding: ReshardingContext, first: Shard, second: Shard): void {
  const { stream, makeShard } = resharding
  const merged = makeShard(stream, {
    startingHashKey: first.startingHashKey,
    endingHashKey: second.endingHashKey,
    parents: [first, second],
  })
  replace(resharding, [first, second], [merged])
}

/**
 * Scales the stream to `shardCount` shards of equal ranges, by splits and then by merges, as
 * UNIFORM_SCALING does. When the counts are not multiples of each other, some intermediate shards
 * are closed again at once.
 */
export function scaleShards(resharding: ReshardingContext, shardCount: number): void {
  const { stream } = resharding
  const ranges = uniformRanges(shardCount)
  for (const { startingHashKey } of ranges) {
    const shard = openShardAt(stream, startingHashKey)
    if (shard && shard.startingHashKey !== startingHashKey) {
      splitOpenShard(resharding, shard, startingHashKey)
    }
  }
  for (const range of ranges) {
    // The loop ends because every merge extends the first shard until it is the whole range.
    for (;;) {
      const first = openShardAt(stream, range.startingHashKey)
      if (!first || first.endingHashKey >= range.endingHashKey) break
      const second = openShardAt(stream, first.endingHashKey + 1n)
      if (!second) break
      mergeOpenShards(resharding, first, second)
    }
  }
}

/** `shardCount` ranges of equal width; the last one includes the remainder of the division. */
export function uniformRanges(
  shardCount: number,
): readonly { readonly startingHashKey: bigint; readonly endingHashKey: bigint }[] {
  const width = hashKeySpace / BigInt(shardCount)
  return Array.from({ length: shardCount }, (_, index) => ({
    startingHashKey: width * BigInt(index),
    endingHashKey: (index === shardCount - 1 ? hashKeySpace : width * BigInt(index + 1)) - 1n,
  }))
}

function openShardAt({ openShards }: Stream, hashKey: bigint): Shard | undefined {
  return openShards.find((shard) => hashKey <= shard.endingHashKey)
}

function replace(
  { stream, clock }: ReshardingContext,
  closed: readonly Shard[],
  added: readonly Shard[],
): void {
  const [firstClosed] = closed
  const at = stream.openShards.findIndex((shard) => shard === firstClosed)
  stream.openShards = stream.openShards.toSpliced(at, closed.length, ...added)
  stream.shards = [...stream.shards, ...added]
  for (const shard of closed) {
    shard.closedMs = Math.max(clock.wallMs(), shard.createdMs)
    shard.closedSinceMs = clock.monotonicMs()
    shard.children = added
    for (const wake of shard.watchers) wake()
  }
}
