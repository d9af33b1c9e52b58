import type { Clock } from '../../base/clock.ts'
import { createMinHeap } from '../../base/min-heap.ts'
import { createStoredTime } from '../../base/stored-time.ts'
import type { StoredTime } from '../../base/stored-time.ts'
import type { MakeShard, NewShard } from './resharding.ts'
import { sequenceNumbersOf } from './sequence-number.ts'
import { createShardLimits } from './shard-limits.ts'
import type { LimitSwitches } from './shard-limits.ts'
import { createShardLog } from './shard-log.ts'
import type { ShardLog } from './shard-log.ts'
import type { ShardRow } from './stream-row.ts'
import { makeReadable, shardIdOf } from './stream.ts'
import type { Shard, Stream } from './stream.ts'

/**
 * The memory of all shards. It has two bounds: the retention of each stream, and a total of bytes,
 * beyond which the oldest records of all streams are dropped.
 */
export interface ShardStorage {
  readonly makeShard: MakeShard
  /** Stores a record in the shard. @returns its position */
  readonly append: (
    stream: Stream,
    shard: Shard,
    partitionKey: string,
    data: Uint8Array,
  ) => RecordPosition
  /** Makes a shard from its stored row; `fill` adds the stored records to its log. */
  readonly restoreShard: (row: ShardRow, fill: (log: ShardLog) => void) => Shard
  /** Removes expired records and closed shards of the stream. */
  readonly trim: (stream: Stream) => void
}

/** Notified of all changes, so that they can be written to disk. */
export interface StreamJournal {
  /** Settings or shards. */
  changed(stream: Stream): void
  /** The record can be read once the journal has written it. */
  appended(stream: Stream, shard: Shard): void
  /** Records or shards expired, or were dropped: nobody waits for it to be written. */
  removed(stream: Stream): void
  deleted(stream: Stream): void
  /** Resolves when everything noted so far is written; rejects when it could not be. */
  durable(): Promise<void>
}

export interface RecordPosition {
  readonly shardId: string
  readonly sequenceNumber: string
}

interface ShardStorageOptions {
  readonly clock: Clock
  /** The streams whose oldest records may be dropped. */
  readonly streams: ReadonlyMap<string, Stream>
  readonly storedBytesMax: number
  readonly limits: LimitSwitches
  /** Called each time that records were dropped to make room. */
  readonly onDropped: ((streamName: string) => void) | undefined
  readonly journal: StreamJournal | undefined
}

const hourMs = 3_600_000
/** When the memory is full, one such share of it is made free at once, as all shards are sorted. */
const roomShare = 64
/** Nothing expires shortly after a start, because the time of day may have been changed. */
const graceMs = 60_000

export function createShardStorage(options: ShardStorageOptions): ShardStorage {
  const { clock, streams, storedBytesMax, journal } = options
  const memory = { usedBytes: 0 }
  const openedMs = clock.monotonicMs()
  const makers = createShardMakers({
    limits: options.limits,
    clock,
    storedTime: createStoredTime(clock),
    onBytes: (delta) => {
      memory.usedBytes += delta
    },
  })

  function makeRoom(): void {
    const enoughBytes = storedBytesMax - storedBytesMax / roomShare
    const dropped = new Set<Stream>()
    const oldest = createMinHeap(shardsWithRecords(streams.values()), oldestMsOf)
    for (let it = oldest.least(); it && memory.usedBytes > enoughBytes; it = oldest.least()) {
      it.shard.log.dropOldest()
      dropped.add(it.stream)
      if (it.shard.log.oldestMs() === undefined) oldest.removeLeast()
      else oldest.sink()
    }
    for (const stream of dropped) {
      journal?.removed(stream)
      options.onDropped?.(stream.name)
    }
  }

  return {
    ...makers,
    append(stream, shard, partitionKey, data) {
      const { ordinal, arrivalMs } = shard.log.append(
        partitionKey,
        data,
        clock.wallMs(),
        clock.monotonicMs(),
      )
      if (memory.usedBytes > storedBytesMax) makeRoom()
      // With a disk, the record can be read once it is there: see flush-plan.ts.
      if (journal) journal.appended(stream, shard)
      else makeReadable(shard, ordinal + 1)
      return { shardId: shard.id, sequenceNumber: shard.sequenceNumber(ordinal, arrivalMs) }
    },
    trim(stream) {
      const nowMs = clock.monotonicMs()
      if (nowMs < openedMs + graceMs) return
      const oldestMs = nowMs - stream.retentionHours * hourMs
      let isTrimmed = false
      for (const { log } of stream.shards) if (log.trimBefore(oldestMs)) isTrimmed = true
      const isExpired = ({ closedSinceMs }: Shard) =>
        closedSinceMs !== undefined && closedSinceMs < oldestMs
      if (stream.shards.some(isExpired)) {
        stream.shards = stream.shards.filter((shard) => !isExpired(shard))
        isTrimmed = true
      }
      if (isTrimmed) journal?.removed(stream)
    },
  }
}

function createShardMakers(dependencies: {
  limits: LimitSwitches
  clock: Clock
  storedTime: StoredTime
  onBytes: (delta: number) => void
}): Pick<ShardStorage, 'makeShard' | 'restoreShard'> {
  const newParts = (createdMs: number, number: number) => ({
    number,
    id: shardIdOf(number),
    createdMs,
    log: createShardLog(dependencies.onBytes, dependencies.storedTime),
    readableEnd: 1,
    limits: createShardLimits(dependencies.limits),
    watchers: new Set<() => void>(),
    children: [],
    sequenceNumber: sequenceNumbersOf(createdMs, number),
  })
  return {
    makeShard(stream, { startingHashKey, endingHashKey, parents }: NewShard): Shard {
      const number = stream.shardsMade++
      // Later than its parents, so that sequence numbers of a key also increase over a reshard.
      const createdMs =
        parents.length === 0
          ? stream.createdMs
          : Math.max(dependencies.clock.wallMs(), ...parents.map((parent) => parent.createdMs + 1))
      return {
        ...newParts(createdMs, number),
        parentIds: parents.map((parent) => parent.id),
        startingHashKey,
        endingHashKey,
        encryptions:
          stream.encryptionKeyId === undefined ? [] : [{ fromOrdinal: 1, isEncrypted: true }],
        closedMs: undefined,
        closedSinceMs: undefined,
      }
    },
    restoreShard(row, fill) {
      const shard: Shard = {
        ...newParts(row.createdMs, row.number),
        parentIds: row.parentIds,
        startingHashKey: BigInt(row.startingHashKey),
        endingHashKey: BigInt(row.endingHashKey),
        encryptions: [...row.encryptions],
        closedMs: row.closedMs,
        closedSinceMs:
          row.closedMs === undefined ? undefined : dependencies.storedTime(row.closedMs),
      }
      shard.log.skipTo(row.firstOrdinal)
      fill(shard.log)
      if (shard.log.nextOrdinal() < row.nextOrdinal) shard.log.skipTo(row.nextOrdinal)
      shard.readableEnd = shard.log.nextOrdinal()
      return shard
    },
  }
}

interface StoredShard {
  readonly stream: Stream
  readonly shard: Shard
}

const oldestMsOf = ({ shard }: StoredShard) => shard.log.oldestMs() ?? Infinity

function shardsWithRecords(streams: Iterable<Stream>): StoredShard[] {
  const found: StoredShard[] = []
  for (const stream of streams) {
    for (const shard of stream.shards) {
      if (shard.log.oldestMs() !== undefined) found.push({ stream, shard })
    }
  }
  return found
}
