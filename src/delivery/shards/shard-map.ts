import { hashKeyOf } from '../../base/hash-key.ts'
import type { OutgoingRecord, ShardRange } from '../../aws/kinesis-calls.ts'

/** The open shards of a stream. It tells which of them a record belongs to. */
export interface ShardMap {
  /** The shard of a hash key (0 to 2^128 - 1); undefined when no range covers it. */
  shardOf(hashKey: bigint): string | undefined
  /** The shard of a record. Costs one MD5 unless the record has an explicit hash key. */
  shardOfRecord(
    record: Pick<OutgoingRecord, 'partitionKey' | 'explicitHashKey'>,
  ): string | undefined
  has(shardId: string): boolean
  readonly shardCount: number
  /** The ranges, in their order. */
  readonly ranges: readonly ShardRange[]
}

/**
 * @param ranges of the open shards, in any order. There may be gaps, because the list may have been
 *   read page by page while the stream was resharded. A hash key in a gap has no known shard.
 */
export function createShardMap(ranges: readonly ShardRange[]): ShardMap {
  const sorted = ranges.toSorted((left, right) =>
    left.startingHashKey < right.startingHashKey ? -1 : 1,
  )
  const ids = new Set(ranges.map(({ shardId }) => shardId))

  function shardOf(hashKey: bigint): string | undefined {
    // All ranges before `low` begin at or below the key; no range from `high` on does.
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
    ranges: sorted,
  }
}
