import type { Clock } from '../clock.ts'
import type { MakeShard, NewShard } from './resharding.ts'
import { sequenceNumbersOf } from './sequence-number.ts'
import { createShardLimits } from './shard-limits.ts'
import type { LimitSwitches } from './shard-limits.ts'
import { createShardLog } from './shard-log.ts'
import { shardIdOf } from './stream.ts'
import type { Shard, Stream } from './stream.ts'

/**
 * The memory of all shards together. It is bounded twice: by the retention of each stream, and by
 * bytes: beyond them the oldest records of all go, whatever stream they are of.
 */
export interface ShardStorage {
  readonly makeShard: MakeShard
  /** Stores a record in the shard, and says where it is now. */
  readonly append: (shard: Shard, partitionKey: string, data: Uint8Array) => PutPlace
  /** Forgets what is past the retention of the stream, closed shards among it. */
  readonly trim: (stream: Stream) => void
  /** What arrived before it is past the retention of the stream. */
  readonly horizonMs: (stream: Stream) => number
}

export interface PutPlace {
  readonly shardId: string
  readonly sequenceNumber: string
}

export interface ShardStorageOptions {
  readonly clock: Clock
  /** Those whose oldest records may go. */
  readonly streams: ReadonlyMap<string, Stream>
  readonly storedBytesMax: number
  readonly limits: LimitSwitches
  /** Told each time that records were dropped for want of room. */
  readonly onDropped: ((streamName: string) => void) | undefined
}

const hourMs = 3_600_000

export function createShardStorage(options: ShardStorageOptions): ShardStorage {
  const { clock, streams, storedBytesMax } = options
  const memory = { usedBytes: 0 }
  const makeShard = createShardMaker({
    limits: options.limits,
    clock,
    onBytes: (delta) => {
      memory.usedBytes += delta
    },
  })

  function makeRoom(): void {
    while (memory.usedBytes > storedBytesMax) {
      const oldest = oldestShardOf(streams.values())
      if (!oldest) return
      oldest.shard.log.dropOldestSegment()
      options.onDropped?.(oldest.stream.name)
    }
  }

  const horizonMs = (stream: Stream) => clock.nowMs() - stream.retentionHours * hourMs
  return {
    makeShard,
    append(shard, partitionKey, data) {
      const { ordinal, arrivalMs } = shard.log.append(partitionKey, data, clock.nowMs())
      if (memory.usedBytes > storedBytesMax) makeRoom()
      if (shard.watchers.size > 0) for (const wake of shard.watchers) wake()
      return { shardId: shard.id, sequenceNumber: shard.sequenceNumber(ordinal, arrivalMs) }
    },
    horizonMs,
    trim(stream) {
      const oldestMs = horizonMs(stream)
      for (const { log } of stream.shards) log.trimBefore(oldestMs)
      const isExpired = ({ closedMs }: Shard) => closedMs !== undefined && closedMs < oldestMs
      if (stream.shards.some(isExpired)) {
        stream.shards = stream.shards.filter((shard) => !isExpired(shard))
      }
    },
  }
}

function createShardMaker(deps: {
  limits: LimitSwitches
  clock: Clock
  onBytes: (delta: number) => void
}): MakeShard {
  return (stream, { startingHashKey, endingHashKey, parents }: NewShard): Shard => {
    const number = stream.shardsMade++
    // Later than its parents, so that the sequence numbers of a key grow over a reshard, too.
    const createdMs =
      parents.length === 0
        ? stream.createdMs
        : Math.max(deps.clock.nowMs(), ...parents.map((parent) => parent.createdMs + 1))
    return {
      number,
      id: shardIdOf(number),
      createdMs,
      parentIds: parents.map((parent) => parent.id),
      startingHashKey,
      endingHashKey,
      log: createShardLog(deps.onBytes),
      limits: createShardLimits(deps.limits),
      watchers: new Set(),
      encryptions:
        stream.encryptionKeyId === undefined ? [] : [{ fromOrdinal: 1, isEncrypted: true }],
      closedMs: undefined,
      children: [],
      sequenceNumber: sequenceNumbersOf(createdMs, number),
    }
  }
}

function oldestShardOf(streams: Iterable<Stream>): { stream: Stream; shard: Shard } | undefined {
  let oldest: { stream: Stream; shard: Shard; sinceMs: number } | undefined
  for (const stream of streams) {
    for (const shard of stream.shards) {
      const sinceMs = shard.log.oldestSegmentMs()
      if (sinceMs === undefined) continue
      if (!oldest || sinceMs < oldest.sinceMs) oldest = { stream, shard, sinceMs }
    }
  }
  return oldest
}
