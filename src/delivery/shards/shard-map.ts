import { hashKeyOf } from '../../base/hash-key.ts'
import type { OutgoingRecord, ShardRange } from '../../aws/kinesis-calls.ts'

/** The open shards of a stream, and which of them a record goes to. */
export interface ShardMap {
  /** The shard of a hash key (0 to 2^128 - 1); undefined where no range covers it. */
  shardOf(hashKey: bigint): string | undefined
  /** Costs an MD5, unless the record brings its hash key along. */
  shardOfRecord(
    record: Pick<OutgoingRecord, 'partitionKey' | 'explicitHashKey'>,
  ): string | undefined
  has(shardId: string): boolean
  readonly shardCount: number
}

/**
 * @param ranges of the open shards, in any order. They may leave gaps, as a list does that was read
 *   page by page while the stream was resharded: what falls into a gap has no known shard.
 */
export function createShardMap(ranges: readonly ShardRange[]): ShardMap {
  const sorted = ranges.toSorted((left, right) =>
    left.startingHashKey < right.startingHashKey ? -1 : 1,
  )
  const ids = new Set(ranges.map(({ shardId }) => shardId))

  function shardOf(hashKey: bigint): string | undefined {
    // Of the ranges before `low` all begin at or below the key, of those from `high` on none does.
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = sorted[middle]
      if (range !== undefined && range.startingHashKey <= hashKey) low = middle + 1
      else high = middle
    }
    const range = sorted[low - 1]
    return range !== undefined && hashKey <= range.endingHashKey ? range.shardId : undefined
  }

  return {
    shardOf,
    shardOfRecord: ({ partitionKey, explicitHashKey }: OutgoingRecord) =>
      shardOf(explicitHashKey === undefined ? hashKeyOf(partitionKey) : BigInt(explicitHashKey)),
    has: (shardId: string) => ids.has(shardId),
    shardCount: ids.size,
  }
}
