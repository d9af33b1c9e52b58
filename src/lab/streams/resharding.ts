import type { Clock } from '../../base/clock.ts'
import { hashKeySpace } from '../../base/hash-key.ts'
import type { Shard, Stream } from './stream.ts'

/**
 * Splitting and merging: a shard is closed for good, and new ones take over its range (Kinesis
 * Developer Guide, "Reshard a Stream"). What it holds stays readable until it is past retention.
 */
export interface NewShard {
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  /** One or two; in the order of their ranges. */
  readonly parents: readonly Shard[]
}

/** Makes a shard of the stream; it is not listed yet. */
export type MakeShard = (stream: Stream, shard: NewShard) => Shard

export interface Resharding {
  readonly stream: Stream
  readonly makeShard: MakeShard
  readonly clock: Clock
}

/** Splits an open shard in two; the second begins at `hashKey`, which is inside of its range. */
export function splitShard(resharding: Resharding, shard: Shard, hashKey: bigint): void {
  const { stream, makeShard } = resharding
  const { startingHashKey, endingHashKey } = shard
  const parents = [shard]
  const low = makeShard(stream, { startingHashKey, endingHashKey: hashKey - 1n, parents })
  const high = makeShard(stream, { startingHashKey: hashKey, endingHashKey, parents })
  replace(resharding, [shard], [low, high])
}

/** Makes one shard of two open ones, the second of which begins where the first ends. */
export function mergeShards(resharding: Resharding, first: Shard, second: Shard): void {
  const { stream, makeShard } = resharding
  const merged = makeShard(stream, {
    startingHashKey: first.startingHashKey,
    endingHashKey: second.endingHashKey,
    parents: [first, second],
  })
  replace(resharding, [first, second], [merged])
}

/**
 * Gives the stream so many shards of equal ranges, by splits first and then by merges, as
 * UNIFORM_SCALING does; where the counts are no multiples of each other, shards come up on the way
 * that are closed again at once.
 */
export function scaleShards(resharding: Resharding, shardCount: number): void {
  const { stream } = resharding
  const ranges = uniformRanges(shardCount)
  for (const { startingHashKey } of ranges) {
    const shard = openShardAt(stream, startingHashKey)
    if (shard && shard.startingHashKey !== startingHashKey) {
      splitShard(resharding, shard, startingHashKey)
    }
  }
  for (const range of ranges) {
    // Ends: every merge makes the first shard of the range larger, until it is the whole range.
    for (;;) {
      const first = openShardAt(stream, range.startingHashKey)
      if (!first || first.endingHashKey >= range.endingHashKey) break
      const second = openShardAt(stream, first.endingHashKey + 1n)
      if (!second) break
      mergeShards(resharding, first, second)
    }
  }
}

/** So many ranges of equal width; the last takes what the division leaves over. */
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
  { stream, clock }: Resharding,
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
