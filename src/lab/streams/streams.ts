import type { Clock } from '../../base/clock.ts'
import { endSubscriptions } from './fan-out-consumer.ts'
import { uniformRanges } from './resharding.ts'
import type { MakeShard } from './resharding.ts'
import { ServiceError, notFound } from '../wire/service-error.ts'
import { createShardCounts } from './shard-counts.ts'
import { noLimits } from './shard-limits.ts'
import type { LimitSwitches } from './shard-limits.ts'
import { createShardStorage } from './shard-storage.ts'
import type { ShardStorage, StreamJournal } from './shard-storage.ts'
import { applyChange } from './stream-change.ts'
import type { StreamChange } from './stream-change.ts'
import { createStreamStatuses, statusDurationsDefault } from './stream-statuses.ts'
import type { StatusDurations } from './stream-statuses.ts'
import type { ShardLog } from './shard-log.ts'
import { streamOf } from './stream-row.ts'
import type { ShardRow, StreamRow } from './stream-row.ts'
import type { Stream, StreamMode } from './stream.ts'

/** The streams of the lab and their records, in memory; a journal may also write them to disk. */
export interface StreamStore {
  /** @throws ServiceError ResourceInUseException, LimitExceededException */
  create(stream: NewStream): Stream
  /**
   * Deletes a stream with its records and consumers.
   * @throws ServiceError ResourceInUseException unless it is ACTIVE
   */
  delete(stream: Stream): void
  find(name: string): Stream | undefined
  /** @throws ServiceError ResourceNotFoundException */
  get(name: string): Stream
  /** Sorted by name. */
  list(): readonly Stream[]
  readonly openShardCount: () => number
  /** @throws ServiceError LimitExceededException when so many more shards are too many */
  readonly refuseTooManyShards: (moreCount: number) => void
  /**
   * Changes a stream: it is UPDATING for a while, and then it has the change and is ACTIVE again.
   * @throws ServiceError ResourceInUseException unless it is ACTIVE
   */
  update(stream: Stream, change: StreamChange): void
  readonly append: ShardStorage['append']
  /** Call it before records are read. */
  readonly trim: ShardStorage['trim']
  /** Runs `apply` after the time that a consumer is CREATING or DELETING. */
  afterConsumerStatus(apply: () => void): void
  /** Call it when any other member of a stream has changed. */
  touch(stream: Stream): void
  /**
   * Restores a stored stream, with the change that it was waiting for; `fill` adds the stored
   * records to the log of each shard.
   */
  restore(row: StreamRow, fill: (shard: ShardRow, log: ShardLog) => void): void
  /** Cancels pending transitions. */
  close(): void
}

interface NewStream {
  readonly name: string
  readonly shardCount: number
  readonly mode?: StreamMode
  readonly maxRecordSizeInKiB?: number | undefined
  readonly tags?: Readonly<Record<string, string>>
  /** Whether the stream skips the status CREATING. */
  readonly isReadyAtOnce?: boolean | undefined
}

interface StreamStoreOptions {
  readonly region: string
  readonly accountId: string
  readonly clock: Clock
  /** Memory for the records of all streams; beyond it the oldest records are dropped. */
  readonly storedBytesMax: number
  /** The limits of every shard; undefined applies none. */
  readonly limits?: LimitSwitches | undefined
  readonly statusMs?: StatusDurations | undefined
  /** Called each time that records were dropped to make room. */
  readonly onDropped?: ((streamName: string) => void) | undefined
  readonly journal?: StreamJournal | undefined
}

export const retentionHoursDefault = 24
const maxRecordSizeInKiBDefault = 1024

export function createStreamStore(options: StreamStoreOptions): StreamStore {
  const { clock, accountId, region, journal, statusMs = statusDurationsDefault } = options
  const streams = new Map<string, Stream>()
  const statuses = createStreamStatuses(clock, accountId, streams)
  const counts = createShardCounts(options, streams)
  const storage = createShardStorage({
    clock,
    streams,
    storedBytesMax: options.storedBytesMax,
    limits: options.limits ?? noLimits,
    onDropped: options.onDropped,
    journal,
  })
  const { makeShard } = storage
  let lastCreatedMs = 0

  function applyPending(stream: Stream): void {
    const change = stream.pendingChange
    if (!change) return
    stream.pendingChange = undefined
    applyChange({ stream, makeShard, clock }, change)
    storage.trim(stream)
    journal?.changed(stream)
  }

  return {
    create(wanted) {
      if (streams.has(wanted.name)) throw alreadyExists(wanted.name, accountId)
      counts.refuseTooManyShards(wanted.shardCount)
      lastCreatedMs = Math.max(clock.wallMs(), lastCreatedMs + 1)
      const arn = `arn:aws:kinesis:${region}:${accountId}:stream/${wanted.name}`
      const stream = newStream(wanted, { arn, createdMs: lastCreatedMs, makeShard })
      streams.set(wanted.name, stream)
      journal?.changed(stream)
      const creatingMs = wanted.isReadyAtOnce ? 0 : statusMs.creatingMs
      statuses.enter(stream, 'CREATING', creatingMs, () => {
        stream.status = 'ACTIVE'
      })
      return stream
    },
    delete(stream) {
      statuses.refuseUnlessActive(stream)
      journal?.deleted(stream)
      statuses.enter(stream, 'DELETING', statusMs.deletingMs, () => {
        streams.delete(stream.name)
        empty(stream)
      })
    },
    find: (name) => streams.get(name),
    get(name) {
      const stream = streams.get(name)
      if (!stream) throw notFound(`Stream ${name} under account ${accountId} not found.`)
      return stream
    },
    list: () => [...streams.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    openShardCount: counts.openShardCount,
    refuseTooManyShards: counts.refuseTooManyShards,
    update(stream, change) {
      statuses.refuseUnlessActive(stream)
      stream.pendingChange = change
      journal?.changed(stream)
      statuses.enter(stream, 'UPDATING', statusMs.updatingMs, () => {
        applyPending(stream)
        stream.status = 'ACTIVE'
      })
    },
    append: storage.append,
    trim: storage.trim,
    afterConsumerStatus: (apply) => statuses.later(statusMs.consumerMs, apply),
    touch: (stream) => journal?.changed(stream),
    restore(row, fill) {
      const stream = streamOf(row, (shard) =>
        storage.restoreShard(shard, (log) => fill(shard, log)),
      )
      lastCreatedMs = Math.max(lastCreatedMs, stream.createdMs)
      streams.set(stream.name, stream)
      applyPending(stream)
    },
    close: () => statuses.close(),
  }
}

const alreadyExists = (name: string, accountId: string) =>
  new ServiceError(
    'ResourceInUseException',
    `Stream ${name} under account ${accountId} already exists.`,
  )

/** Frees the records of a stream, and ends the subscriptions to it. */
function empty(stream: Stream): void {
  for (const consumer of stream.consumers.values()) endSubscriptions(consumer)
  for (const { log } of stream.shards) {
    while (log.oldestSegmentMs() !== undefined) log.dropOldestSegment()
  }
}

function newStream(
  wanted: NewStream,
  made: { arn: string; createdMs: number; makeShard: MakeShard },
): Stream {
  const stream: Stream = {
    name: wanted.name,
    arn: made.arn,
    createdMs: made.createdMs,
    tags: new Map(Object.entries(wanted.tags ?? {})),
    consumers: new Map(),
    lastConsumerSeconds: 0,
    status: 'CREATING',
    pendingChange: undefined,
    mode: wanted.mode ?? 'PROVISIONED',
    shards: [],
    openShards: [],
    shardsMade: 0,
    maxRecordSizeInKiB: wanted.maxRecordSizeInKiB ?? maxRecordSizeInKiBDefault,
    retentionHours: retentionHoursDefault,
    encryptionKeyId: undefined,
    shardLevelMetrics: [],
  }
  const ranges = uniformRanges(wanted.shardCount)
  const shards = ranges.map((range) => made.makeShard(stream, { ...range, parents: [] }))
  stream.shards = shards
  stream.openShards = shards
  return stream
}
