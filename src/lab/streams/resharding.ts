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
 * Scales the stream to `shardCount` shards, as UNIFORM_SCALING was seen to do. A target that is a
 * multiple of 25 % of the shards, as AWS recommends, gives shards of equal ranges: 4 shards to 3
 * make 11 in all. For another target AWS splits every shard in half when there are to be more, and
 * then merges neighbours in pairs: 10 to 13 make 37 in all, 5 to 3 make 7. Intermediate shards are
 * closed again at once.
 */
export function scaleShards(resharding: ReshardingContext, shardCount: number): void {
  const { stream } = resharding
  const before = stream.openShards
  const isMultiple = (shardCount * 4) % before.length === 0
  // Further than UpdateShardCount goes, so that one round of splits or merges would not suffice.
  const isFar = shardCount > before.length * 2 || shardCount * 2 < before.length
  const canBeHalved = before.every((shard) => shard.startingHashKey < shard.endingHashKey)
  if (isMultiple || isFar || !canBeHalved) return scaleToEqualRanges(resharding, shardCount)
  if (shardCount > before.length) for (const shard of before) halve(resharding, shard)
  const halves = stream.openShards
  for (let at = 0; stream.openShards.length > shardCount; at += 2) {
    const [first, second] = halves.slice(at)
    if (!first || !second) return
    mergeOpenShards(resharding, first, second)
  }
}

function halve(resharding: ReshardingContext, shard: Shard): void {
  const middle = (shard.startingHashKey + shard.endingHashKey + 1n) / 2n
  splitOpenShard(resharding, shard, middle)
}

/** Scales the stream to `shardCount` shards of equal ranges, one after the other. */
export function scaleToEqualRanges(resharding: ReshardingContext, shardCount: number): void {
  const { stream } = resharding
  for (const { startingHashKey, endingHashKey } of uniformRanges(shardCount)) {
    const last = openShardAt(stream, endingHashKey)
    if (last && last.endingHashKey !== endingHashKey) {
      splitOpenShard(resharding, last, endingHashKey + 1n)
    }
    // The loop ends because every merge extends the first shard until it is the whole range.
    for (;;) {
      const first = openShardAt(stream, startingHashKey)
      if (!first || first.endingHashKey >= endingHashKey) break
      const second = openShardAt(stream, first.endingHashKey + 1n)
      if (!second) break
      mergeOpenShards(resharding, first, second)
    }
  }
}

/** The shards that AWS gives a new stream in ON_DEMAND mode. */
const onDemandShardCount = 4

/** The number of shards for a warm throughput: each of them takes 1 MiB a second. */
export const warmShardCount = (warmMiBps: number) => Math.max(onDemandShardCount, warmMiBps)

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
