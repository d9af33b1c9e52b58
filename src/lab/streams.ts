import type { Clock } from '../clock.ts'
import { hashKeyOf, hashKeySpace } from '../hash-key.ts'
import { sequenceNumbersOf } from './sequence-number.ts'
import { ServiceError, notFound } from './service-error.ts'
import { createShardLimits, noLimits } from './shard-limits.ts'
import type { LimitSwitches, ShardLimits } from './shard-limits.ts'
import { createShardLog } from './shard-log.ts'
import type { ShardLog, StoredRecord } from './shard-log.ts'

/**
 * The streams of the lab and their records, all in memory.
 *
 * A stream is ACTIVE as soon as it is made: on AWS that takes about half a minute, and every
 * script waits for it; in a lab there is nothing to wait for, and a client that polls for ACTIVE
 * finds it at its first look.
 */
export interface Stream {
  readonly name: string
  readonly arn: string
  /** Epoch milliseconds, different for each stream of a server: it also tells namesakes apart. */
  readonly createdMs: number
  readonly mode: StreamMode
  readonly shards: readonly Shard[]
  readonly maxRecordSizeInKiB: number
  readonly tags: Map<string, string>
  retentionHours: number
}

export type StreamMode = 'PROVISIONED' | 'ON_DEMAND'

export interface Shard {
  readonly number: number
  /** `shardId-` and the number in twelve digits. */
  readonly id: string
  readonly createdMs: number
  /** Both ends belong to the shard. */
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  readonly log: ShardLog
  readonly limits: ShardLimits
  sequenceNumber(ordinal: number, arrivalMs: number): string
}

export interface NewStream {
  readonly name: string
  readonly shardCount: number
  readonly mode?: StreamMode
  readonly maxRecordSizeInKiB?: number
  readonly tags?: Readonly<Record<string, string>>
}

export interface StreamStoreOptions {
  readonly region: string
  readonly accountId: string
  readonly clock: Clock
  /** Memory for the records of all streams together; the oldest records go first beyond it. */
  readonly storedBytesMax: number
  /** Of every shard; absent: none. */
  readonly limits?: LimitSwitches
  /** Told each time that records were dropped for want of room. */
  readonly onDropped?: (streamName: string) => void
}

export interface StreamStore {
  /** @throws ServiceError ResourceInUseException, LimitExceededException */
  create(stream: NewStream): Stream
  /** @throws ServiceError ResourceNotFoundException */
  delete(name: string): void
  find(name: string): Stream | undefined
  /** @throws ServiceError ResourceNotFoundException */
  get(name: string): Stream
  /** Sorted by name. */
  list(): readonly Stream[]
  openShardCount(): number
  /** Stores a record in the shard, and says where it is now. */
  append(shard: Shard, partitionKey: string, data: Uint8Array): PutPlace
  /** Forgets what is past the retention of the stream. To be called before records are read. */
  trim(stream: Stream): void
}

export interface PutPlace {
  readonly shardId: string
  readonly sequenceNumber: string
}

/** The quota of shards of a new AWS account in the large regions. */
export const shardsPerAccountMax = 20_000
export const retentionHoursDefault = 24
export const maxRecordSizeInKiBDefault = 1024

const hourMs = 3_600_000

export function createStreamStore(options: StreamStoreOptions): StreamStore {
  const { clock, accountId, region, limits = noLimits } = options
  const streams = new Map<string, Stream>()
  let storedBytes = 0
  let lastCreatedMs = 0

  const openShardCount = () =>
    [...streams.values()].reduce((sum, stream) => sum + stream.shards.length, 0)
  const countBytes = (delta: number) => {
    storedBytes += delta
  }

  function makeRoom(): void {
    while (storedBytes > options.storedBytesMax) {
      const oldest = oldestShardOf(streams.values())
      if (!oldest) return
      oldest.shard.log.dropOldestSegment()
      options.onDropped?.(oldest.stream.name)
    }
  }

  const get = (name: string) => {
    const stream = streams.get(name)
    if (!stream) throw notFound(`Stream ${name} under account ${accountId} not found.`)
    return stream
  }

  return {
    create(wanted) {
      if (streams.has(wanted.name)) {
        throw new ServiceError(
          'ResourceInUseException',
          `Stream ${wanted.name} under account ${accountId} already exists.`,
        )
      }
      if (openShardCount() + wanted.shardCount > shardsPerAccountMax) {
        throw new ServiceError(
          'LimitExceededException',
          `This request would exceed the shard limit for the account ${accountId} in ${region}: ` +
            `${openShardCount()} of ${shardsPerAccountMax} are in use.`,
        )
      }
      lastCreatedMs = Math.max(clock.nowMs(), lastCreatedMs + 1)
      const arn = `arn:aws:kinesis:${region}:${accountId}:stream/${wanted.name}`
      const stream = newStream(wanted, { arn, createdMs: lastCreatedMs, limits }, countBytes)
      streams.set(wanted.name, stream)
      return stream
    },
    delete(name) {
      const stream = get(name)
      streams.delete(name)
      for (const { log } of stream.shards) {
        while (log.oldestSegmentMs() !== undefined) log.dropOldestSegment()
      }
    },
    find: (name) => streams.get(name),
    get,
    list: () => [...streams.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    openShardCount,
    append(shard, partitionKey, data) {
      const { ordinal, arrivalMs } = shard.log.append(partitionKey, data, clock.nowMs())
      if (storedBytes > options.storedBytesMax) makeRoom()
      return { shardId: shard.id, sequenceNumber: shard.sequenceNumber(ordinal, arrivalMs) }
    },
    trim(stream) {
      const horizonMs = clock.nowMs() - stream.retentionHours * hourMs
      for (const { log } of stream.shards) log.trimBefore(horizonMs)
    },
  }
}

/** The shard whose range holds the hash key of a record: of its partition key, or explicit. */
export function shardFor(stream: Stream, partitionKey: string, explicitHashKey?: bigint): Shard {
  const hashKey = explicitHashKey ?? hashKeyOf(partitionKey)
  let low = 0
  let high = stream.shards.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((stream.shards[middle]?.startingHashKey ?? 0n) <= hashKey) low = middle
    else high = middle - 1
  }
  const shard = stream.shards[low]
  if (!shard) throw new Error(`stream ${stream.name} has no shard`)
  return shard
}

/** Every readable record of a shard, oldest first. */
export function* recordsOf(shard: Shard): Generator<StoredRecord> {
  for (let ordinal = shard.log.firstOrdinal(); ordinal < shard.log.nextOrdinal(); ordinal++) {
    const record = shard.log.at(ordinal)
    if (record) yield record
  }
}

/** `shardId-` and at least twelve digits. */
export const shardIdOf = (shardNumber: number) => `shardId-${String(shardNumber).padStart(12, '0')}`

function newStream(
  wanted: NewStream,
  { arn, createdMs, limits }: { arn: string; createdMs: number; limits: LimitSwitches },
  onBytes: (delta: number) => void,
): Stream {
  const width = hashKeySpace / BigInt(wanted.shardCount)
  const shards = Array.from({ length: wanted.shardCount }, (_, number): Shard => {
    const isLast = number === wanted.shardCount - 1
    return {
      number,
      id: shardIdOf(number),
      createdMs,
      startingHashKey: width * BigInt(number),
      // The last shard takes what the division leaves over.
      endingHashKey: (isLast ? hashKeySpace : width * BigInt(number + 1)) - 1n,
      log: createShardLog(onBytes),
      limits: createShardLimits(limits),
      sequenceNumber: sequenceNumbersOf(createdMs, number),
    }
  })
  return {
    name: wanted.name,
    arn,
    createdMs,
    mode: wanted.mode ?? 'PROVISIONED',
    shards,
    maxRecordSizeInKiB: wanted.maxRecordSizeInKiB ?? maxRecordSizeInKiBDefault,
    tags: new Map(Object.entries(wanted.tags ?? {})),
    retentionHours: retentionHoursDefault,
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
