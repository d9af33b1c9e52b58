import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import { parseStreamArn, streamArnOf } from './namespace.ts'
import type { Namespace } from './namespace.ts'
import { noLimits } from './shard-limits.ts'
import type { LimitSwitches } from './shard-limits.ts'
import type { ShardLog } from './shard-log.ts'
import { createShardStorage } from './shard-storage.ts'
import type { StreamJournal } from './shard-storage.ts'
import type { ShardRow, StreamRow } from './stream-row.ts'
import { streamOf } from './stream-row.ts'
import { createStreamStatuses, statusDurationsDefault } from './stream-statuses.ts'
import type { StatusDurations } from './stream-statuses.ts'
import type { Stream } from './stream.ts'
import { applyPending, createStreamStore } from './streams.ts'
import type { SharedParts, StreamStore } from './streams.ts'

/** All streams of the lab with their records, in memory; a journal may also write them to disk. */
export interface StreamNamespaces {
  /** The streams of a namespace. */
  in(namespace: Namespace): StreamStore
  /** The streams of all namespaces, in the order of their ARNs. */
  all(): readonly Stream[]
  /** Removes the expired records of a stream. */
  readonly trim: (stream: Stream) => void
  /** A stream of any namespace by the time of its creation, which identifies it. */
  findCreated(createdMs: number): Stream | undefined
  /**
   * Restores a stored stream, with the change that it was waiting for; `fill` adds the stored
   * records to the log of each shard.
   */
  restore(row: StreamRow, fill: (shard: ShardRow, log: ShardLog) => void): void
  /**
   * Moves the streams of one account to another one, and those of a region to another region, with
   * their consumers.
   */
  move(from: Namespace, to: Namespace): MovedStreams
  /** Cancels pending transitions. */
  close(): void
}

interface StreamNamespacesOptions {
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

/** Namespaces whose store is remembered: clients may name any number of regions. */
const storesRememberedMax = 100

export function createStreamNamespaces(options: StreamNamespacesOptions): StreamNamespaces {
  const { clock, journal, statusMs = statusDurationsDefault } = options
  /** By ARN. */
  const streams = new Map<string, Stream>()
  const storage = createShardStorage({
    clock,
    streams,
    storedBytesMax: options.storedBytesMax,
    limits: options.limits ?? noLimits,
    onDropped: options.onDropped,
    journal,
  })
  const shared: SharedParts = {
    clock,
    journal,
    statusMs,
    streams,
    byCreation: new Map(),
    storage,
    statuses: createStreamStatuses(clock, streams),
    lastCreatedMs: 0,
  }
  const stores = createBoundedMap<string, StreamStore>(storesRememberedMax)

  return {
    in: (namespace) =>
      stores.getOrMake(streamArnOf(namespace, ''), (prefix) =>
        createStreamStore(shared, namespace, prefix),
      ),
    all: () => [...streams.values()].toSorted((a, b) => (a.arn < b.arn ? -1 : 1)),
    trim: storage.trim,
    findCreated: (createdMs) => shared.byCreation.get(createdMs),
    restore(row, fill) {
      const stream = streamOf(row, (shard) =>
        storage.restoreShard(shard, (log) => fill(shard, log)),
      )
      shared.lastCreatedMs = Math.max(shared.lastCreatedMs, stream.createdMs)
      streams.set(stream.arn, stream)
      shared.byCreation.set(stream.createdMs, stream)
      applyPending(shared, stream)
    },
    move: (from, to) => moveStreams(shared, from, to),
    close: () => shared.statuses.close(),
  }
}

interface MovedStreams {
  readonly movedCount: number
  /** The ARNs of streams that stay, because there is another one of that name. */
  readonly staying: readonly string[]
}

function moveStreams(
  { journal, streams }: SharedParts,
  from: Namespace,
  to: Namespace,
): MovedStreams {
  const staying: string[] = []
  let movedCount = 0
  const all = [...streams]
  for (const [arn, stream] of all) {
    const at = parseStreamArn(arn)
    if (at?.accountId !== from.accountId) continue
    const region = at.region === from.region ? to.region : at.region
    const movedArn = streamArnOf({ accountId: to.accountId, region }, stream.name)
    if (movedArn === arn) continue
    if (streams.has(movedArn)) {
      staying.push(arn)
      continue
    }
    streams.delete(arn)
    streams.set(movedArn, stream)
    stream.arn = movedArn
    for (const consumer of stream.consumers.values()) {
      consumer.arn = movedArn + consumer.arn.slice(arn.length)
    }
    journal?.changed(stream)
    movedCount++
  }
  return { movedCount, staying }
}
