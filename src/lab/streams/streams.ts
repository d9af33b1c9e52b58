import type { Clock } from '../../base/clock.ts'
import { endSubscriptions } from './fan-out-consumer.ts'
import { uniformRanges } from './resharding.ts'
import type { MakeShard } from './resharding.ts'
import { parseStreamArn } from './namespace.ts'
import type { Namespace } from './namespace.ts'
import { ServiceError, notFound } from '../wire/service-error.ts'
import { createShardCounts } from './shard-counts.ts'
import type { ShardStorage, StreamJournal } from './shard-storage.ts'
import { applyChange } from './stream-change.ts'
import type { StreamChange } from './stream-change.ts'
import type { createStreamStatuses } from './stream-statuses.ts'
import type { StatusDurations } from './stream-statuses.ts'
import type { Distribution, Stream, StreamMode } from './stream.ts'

/** The streams of one namespace. */
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
  /**
   * A stream of any namespace by the time of its creation, which identifies it.
   * @throws ServiceError ResourceNotFoundException
   */
  getCreated(createdMs: number | undefined): Stream
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
}

interface NewStream {
  readonly name: string
  readonly shardCount: number
  readonly mode?: StreamMode
  readonly distribution?: Distribution | undefined
  readonly warmMiBps?: number | undefined
  readonly maxRecordSizeInKiB?: number | undefined
  readonly tags?: Readonly<Record<string, string>>
  /** Whether the stream skips the status CREATING. */
  readonly isReadyAtOnce?: boolean | undefined
}

export const retentionHoursDefault = 24
const maxRecordSizeInKiBDefault = 1024

/** What the stores of all namespaces share. */
export interface SharedParts {
  readonly clock: Clock
  readonly journal: StreamJournal | undefined
  readonly statusMs: StatusDurations
  /** The streams of all namespaces, by ARN. */
  readonly streams: Map<string, Stream>
  readonly byCreation: Map<number, Stream>
  readonly storage: ShardStorage
  readonly statuses: ReturnType<typeof createStreamStatuses>
  lastCreatedMs: number
}

/** @param prefix the ARN of a stream of the namespace without its name */
export function createStreamStore(
  shared: SharedParts,
  namespace: Namespace,
  prefix: string,
): StreamStore {
  const { clock, journal, statuses, statusMs, storage, streams } = shared
  const own = () => [...streams.values()].filter(({ arn }) => arn.startsWith(prefix))
  const counts = createShardCounts(namespace, own, () => [...streams.values()])
  const find = (name: string) => streams.get(prefix + name)

  return {
    create(wanted) {
      const { makeShard } = storage
      if (find(wanted.name)) throw alreadyExists(wanted.name, namespace)
      counts.refuseTooManyShards(wanted.shardCount)
      shared.lastCreatedMs = Math.max(clock.wallMs(), shared.lastCreatedMs + 1)
      const arn = prefix + wanted.name
      const stream = newStream(wanted, { arn, createdMs: shared.lastCreatedMs, makeShard })
      streams.set(arn, stream)
      shared.byCreation.set(stream.createdMs, stream)
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
        streams.delete(stream.arn)
        shared.byCreation.delete(stream.createdMs)
        empty(stream)
      })
    },
    find,
    get: (name) => {
      const stream = find(name)
      if (!stream) throw notThere(name, namespace, [...streams.values()])
      return stream
    },
    getCreated(createdMs) {
      const stream = createdMs === undefined ? undefined : shared.byCreation.get(createdMs)
      if (!stream) throw notFound('The stream of the NextToken no longer exists.')
      return stream
    },
    list: () => own().toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    openShardCount: counts.openShardCount,
    refuseTooManyShards: counts.refuseTooManyShards,
    update(stream, change) {
      statuses.refuseUnlessActive(stream)
      stream.pendingChange = change
      journal?.changed(stream)
      const finish = () => {
        applyPending(shared, stream)
        stream.status = 'ACTIVE'
      }
      // Readers must not see the end of a shard that is open again after a crash.
      const noted = journal?.durable()
      noted?.catch(() => undefined)
      statuses.enter(stream, 'UPDATING', statusMs.updatingMs, () => {
        if (noted) void noted.then(finish, finish)
        else finish()
      })
    },
    append: storage.append,
    trim: storage.trim,
    afterConsumerStatus: (apply) => statuses.later(statusMs.consumerMs, apply),
    touch: (stream) => journal?.changed(stream),
  }
}

/** Applies the change that a stream waits for, if there is one. */
export function applyPending({ clock, journal, storage }: SharedParts, stream: Stream): void {
  const change = stream.pendingChange
  if (!change) return
  stream.pendingChange = undefined
  applyChange({ stream, makeShard: storage.makeShard, clock }, change)
  storage.trim(stream)
  journal?.changed(stream)
}

/** Streams of the same name elsewhere are told of: a client may have another region than meant. */
function notThere(name: string, { accountId, region }: Namespace, all: readonly Stream[]) {
  const message = `Stream ${name} under account ${accountId} not found.`
  const elsewhere = all
    .flatMap(({ name: other, arn }) => (other === name ? (parseStreamArn(arn) ?? []) : []))
    .find((other) => other.accountId === accountId)
  if (!elsewhere) return notFound(message)
  return notFound(`${message} The call is for ${region}; there is one in ${elsewhere.region}.`)
}

const alreadyExists = (name: string, { accountId }: Namespace) =>
  new ServiceError(
    'ResourceInUseException',
    `Stream ${name} under account ${accountId} already exists.`,
  )

/** Frees the records of a stream, and ends the subscriptions to it. */
function empty(stream: Stream): void {
  for (const consumer of stream.consumers.values()) endSubscriptions(consumer)
  for (const { log } of stream.shards) {
    log.skipTo(log.nextOrdinal())
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
    distribution: wanted.distribution ?? 'USER_PARTITION_KEY',
    distributedCount: 0,
    warmMiBps: wanted.warmMiBps,
    policy: undefined,
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
