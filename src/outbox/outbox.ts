/**
 * The outbox: every record that was accepted and is not yet delivered, on disk; and the
 * dead letters, with a ledger of what became of every record.
 *
 * Invariants:
 * - A record whose `append` resolved is on disk until it is delivered or given up, through `kill
 *   -9` and loss of power. An `append` that rejected has left nothing.
 * - All records of one `append` are written in one transaction: all of them or none.
 * - The records of a destination are read in the order in which they were appended. Each
 *   destination has its own range of keys and its own share of the room: a slow one neither delays
 *   nor pins another (room.ts).
 * - A delivered record is not read again. A later commit removes it from disk; after a crash before
 *   that commit, the record and its ledger are as they were: delivery is at-least-once.
 * - A record that is given up becomes a dead letter, or other records, in one transaction.
 * - The ledger always adds up, on disk and in memory (ledger.ts).
 * - Only what is durable is counted and read.
 *
 * The bytes on disk are described in outbox-store.ts and the codecs.
 */
import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { createRoom, destinationShare } from './room.ts'
import { createAppend } from './append.ts'
import type { AppendOptions } from './append.ts'
import { createDeadLetterOverflow, deadLetterBytesMaxDefault } from './dead-letter-overflow.ts'
import { createDeadLetters } from './dead-letters.ts'
import type { DeadLetters } from './dead-letters.ts'
import { targetOf } from './store/destination.ts'
import type { Destination } from './store/destination.ts'
import { countsOf, createDestinations, destinationsMaxDefault } from './books/destinations.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Sample } from '../telemetry/metric-kinds.ts'
import { createDamage } from './damage.ts'
import { countDelivered } from './delivered.ts'
import type { Damage } from './damage.ts'
import { createGiveUp } from './give-up.ts'
import type { RecordToGiveUp } from './give-up.ts'
import { createLedger, createLedgerMetrics } from './books/ledger.ts'
import type { ActionLedger, LedgerCounts, LedgerMetricNames } from './books/ledger.ts'
import { createSharedMessages } from './books/shared-messages.ts'
import { createNewEntries } from './new-entry.ts'
import { canReadPages } from '../storage/lmdb-pages.ts'
import type { NewRecord, QueuedRecord, ReadLimits } from './store/queued-record.ts'
import type { SourceMessage } from './store/source-message.ts'
import { createOutboxCommits } from './outbox-commits.ts'
import { healOutbox } from './heal-outbox.ts'
import { createOutboxScan } from './store/outbox-scan.ts'
import type { OutboxScan } from './store/outbox-scan.ts'
import { openOutboxStore } from './store/outbox-store.ts'
import type { OutboxFile, OutboxStore } from './store/outbox-store.ts'
import { createRecordAges } from './record-ages.ts'
import { decodeSource, messageIdOf } from './store/record-codec.ts'
import { createPendingRemovals, createQueueReader, createUnreadRecords } from './queue-reader.ts'

export {
  batchBytesMax,
  batchCountMax,
  deliveryDefaults,
  roleArnOf,
  targetOf,
} from './store/destination.ts'
export type {
  DeliverySettings,
  Destination,
  DestinationCredentials,
  Ordering,
  ServiceDestination,
  ServiceKind,
  StreamDestination,
} from './store/destination.ts'
export type { GivenUpReason } from './store/dead-letter-codec.ts'
export type { DeadLetter, ReplayByRule } from './dead-letter.ts'
export type {
  DeadLetterPage,
  DeadLetterResult,
  DeadLetters,
  DeadLetterSelection,
} from './dead-letters.ts'
export type { AppendOptions } from './append.ts'
export type { RecordToGiveUp } from './give-up.ts'
export type { ActionLedger, LedgerCounts } from './books/ledger.ts'
export { noDestination } from './books/destinations.ts'
export { createHeldRecords } from './held-records.ts'
export { outboxFolderName } from './store/outbox-store.ts'
export { actionLabel, errorActionIndex } from './store/queued-record.ts'
export type { SourceMessage } from './store/source-message.ts'
export type { FailedAction, NewRecord, QueuedRecord, ReadLimits } from './store/queued-record.ts'

/** A destination and how much waits for it. */
export interface QueuedDestination {
  readonly id: number
  readonly destination: Destination
  readonly records: number
  /** On disk. */
  readonly bytes: number
}

/** The bounds of an outbox. */
interface OutboxLimits {
  /** Of all records on disk, without dead letters. */
  readonly bytesMax: number
  /** Of the records of one destination. */
  readonly destinationBytesMax: number
  /** Destinations that have records or dead letters, on disk or on their way there. */
  readonly destinationsMax: number
  readonly deadLetterBytesMax: number
}

interface OutboxTroubles {
  /** Messages wait for the share of a destination, or the whole outbox is full. */
  isFull(): boolean
  /** The last commit failed: nothing is acknowledged until one succeeds. */
  doWritesFail(): boolean
}

type AppendedListener = (destinationIds: readonly number[]) => void

/** The records that were accepted and are not yet delivered, on disk. */
export interface Outbox {
  /**
   * Appends the records of one message, all or none, in the order of calls.
   *
   * Resolves when they are flushed to disk: only then may the message be acknowledged. While the
   * share of one of their destinations is full, or an earlier append waits that must stay ahead,
   * `whenFull` says whether the append waits or drops records. The ledger counts dropped records
   * as accepted and dropped.
   * @throws SluiceError OutboxWriteFailed, OutboxFull, or ActionFailed when there are too many
   *   destinations (see `admits`): rejects, and none of the records was appended
   */
  append(records: readonly NewRecord[], options?: AppendOptions): Promise<void>
  /**
   * Whether a message may have a record for this destination. False when `destinationsMax` other
   * destinations are in use.
   *
   * @param beside destinations for which the same message already has records: they count as used
   */
  admits(destination: Destination, beside?: ReadonlySet<Destination>): boolean
  /** The durable, undelivered records of a destination after a sequence (0: from the first). */
  read(destinationId: number, afterSequence: number, limits: ReadLimits): QueuedRecord[]
  /** The message that gave rise to a record. */
  sourceOf(record: QueuedRecord): SourceMessage
  /** The same as its `messageId`, and nothing else is read for it. */
  messageIdOf(record: QueuedRecord): string
  /**
   * Counts records as delivered, each at most once. They are not read again, and a later commit
   * removes them from disk.
   */
  delivered(destinationId: number, records: readonly QueuedRecord[]): void
  /** Delivered or given-up records of all destinations whose removal is not on disk yet. */
  removalsPending(): number
  /**
   * Removes records that are given up from the queue, in one transaction: each becomes a dead
   * letter, or is replaced by the records that the rule's error action made of it. The change is
   * durable when the promise resolves.
   * @throws SluiceError OutboxWriteFailed (rejects): the records are in the queue as before
   */
  giveUp(destinationId: number, records: readonly RecordToGiveUp[]): Promise<void>
  /** All known destinations. Unused ones are forgotten when others need their room. */
  destinations(): readonly QueuedDestination[]
  size(): { readonly records: number; readonly bytes: number }
  readonly limits: OutboxLimits
  /** What keeps records out now. */
  readonly troubles: OutboxTroubles
  /** Milliseconds since a record was accepted, also when the time of day was set meanwhile. */
  ageMs(record: QueuedRecord): number
  /** The age of the oldest record that waits for a destination. */
  oldestAgeMs(destinationId: number): number | undefined
  /** What became of the records of a rule, for each action that ever had a record. */
  ledger(ruleName: string): readonly ActionLedger[]
  /** The same for all rules together, also for those that no longer exist. */
  ledgerTotals(): LedgerCounts
  readonly deadLetters: DeadLetters
  /**
   * Calls `listener` with the destinations that have new durable records.
   *
   * @returns a function that removes the listener
   */
  onAppended(listener: AppendedListener): () => void
  /** Commits what was appended and closes. Refuses appends that wait for room, and later ones. */
  close(): Promise<void>
}

interface OutboxDependencies {
  /** The data folder, locked by this process. */
  readonly directory: string
  readonly metrics: Pick<
    Metrics,
    | LedgerMetricNames
    | 'outboxCommitSeconds'
    | 'outboxAppendsWaiting'
    | 'outboxRowsQuarantined'
    | 'outboxOldestAge'
    | 'publishToDelivered'
    | 'ruleStatistics'
  >
  readonly logger: Logger
  readonly clock: Clock
}

export interface OutboxOptions {
  /**
   * Bytes that all records may take on disk, without dead letters. Each destination has a share.
   */
  readonly bytesMax?: number | undefined
  readonly deadLetterBytesMax?: number | undefined
  readonly destinationsMax?: number | undefined
  /** Actions that the ledger remembers, also of rules that no longer exist. */
  readonly ledgerRowsMax?: number | undefined
  /** Whether a rule exists: its counters are never forgotten. */
  readonly hasRule?: ((ruleName: string) => boolean) | undefined
  /** Whether the file of the outbox may be absent, and whether it is a cache. */
  readonly file?: OutboxFile | undefined
}

const outboxBytesMaxDefault = 1024 * 1024 * 1024

/**
 * Opens the outbox in a data folder.
 *
 * @throws SluiceError DataFolderDamaged, DataFolderUnusable
 */
export async function openOutbox(
  dependencies: OutboxDependencies,
  options: OutboxOptions = {},
): Promise<Outbox> {
  const listeners = new Set<AppendedListener>()
  const parts = await openParts(dependencies, options, (destinationIds) => {
    for (const listener of listeners) {
      try {
        listener(destinationIds)
      } catch (thrown) {
        // The commit has succeeded: it must end as such, or nothing would be committed any more.
        dependencies.logger.error({ err: thrown }, 'a listener to appended records failed')
      }
    }
  })
  const { store, destinations, ledger, pendingRemovals, commits, room, limits } = parts
  const reader = createQueueReader(parts)
  parts.metrics.outboxOldestAge.readFrom(() => oldestAges(destinations, reader))
  return {
    limits,
    append: createAppend(parts),
    admits: (destination: Destination, beside?: ReadonlySet<Destination>) =>
      destinations.admits(destination, beside),
    ...reader,
    ageMs: (record: QueuedRecord) => parts.ages.ageMs(record),
    sourceOf: ({ stored, message }: QueuedRecord) => decodeSource(stored, message?.value),
    messageIdOf: ({ stored, message }: QueuedRecord) => messageIdOf(stored, message?.value),
    delivered(destinationId: number, records: readonly QueuedRecord[]) {
      const destination = destinations.entryWithId(destinationId)
      if (destination && records.length > 0) countDelivered(parts, destination, records)
    },
    troubles: { isFull: room.isFull, doWritesFail: commits.areFailing },
    removalsPending: () => pendingRemovals.size(),
    giveUp: createGiveUp(parts),
    destinations: () => destinations.entries().map(queuedDestination),
    size() {
      const { records, bytes } = destinations.total()
      return { records, bytes }
    },
    ledger: (ruleName: string) => ledger.ofRule(ruleName),
    ledgerTotals: () => ledger.totals(),
    deadLetters: createDeadLetters(parts),
    onAppended(listener: AppendedListener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async close() {
      room.close()
      await commits.close()
      await store.close()
    },
  }
}

/** The age of the oldest record of each destination for which records wait. */
function* oldestAges(
  destinations: Destinations,
  reader: Pick<ReturnType<typeof createQueueReader>, 'oldestAgeMs'>,
): Generator<Sample<'stream'>> {
  for (const entry of destinations.entries()) {
    if (countsOf(entry).records === 0) continue
    const ageMs = reader.oldestAgeMs(entry.id)
    if (ageMs === undefined) continue
    yield { labels: { stream: targetOf(entry.destination) }, value: ageMs / 1_000 }
  }
}

/** The parts of an outbox: its store, what memory holds of it, and the commits that change both. */
async function openParts(
  dependencies: OutboxDependencies,
  options: OutboxOptions,
  onAppended: AppendedListener,
) {
  const { directory, clock, metrics } = dependencies
  const damage = createDamage(dependencies)
  const { store, messages } = await openWhole(dependencies, options, damage)
  const limits = limitsOf(options)
  const { destinations, ledger, lastSequence } = await readStored(store, directory, {
    ...options,
    ...limits,
  })
  const pendingRemovals = createPendingRemovals()
  const ledgerMetrics = createLedgerMetrics(destinations, metrics)
  ledgerMetrics.publish()
  const overflow = createDeadLetterOverflow(
    { store, destinations, ledger },
    { bytesMax: limits.deadLetterBytesMax },
  )
  const room = createRoom({ metrics, bytesHeld: destinations.totalBytes }, limits)
  const unread = createUnreadRecords(lastSequence)
  const sharedMessages = createSharedMessages(messages, destinations)
  const books = { destinations, ledger, ledgerMetrics, sharedMessages }
  const known = { store, ...books, pendingRemovals, unread, overflow }
  const commits = createOutboxCommits({
    ...dependencies,
    ...known,
    room,
    onAppended,
  })
  let sequence = lastSequence
  const nextSequence = () => ++sequence
  const newEntries = createNewEntries({ destinations, ledger, nextSequence })
  damage.use({ ...books, pendingRemovals, commits, room, clock })
  const ages = createRecordAges(clock, lastSequence)
  const acceptedAt = (nowMs: number) => ages.accepted(sequence + 1, nowMs)
  const places = { ages, acceptedAt, newEntries, nextSequence }
  return { ...known, metrics, limits, commits, room, clock, ...places }
}

/**
 * Opens the store. What is damaged in it is in quarantine then, and its counters add up.
 *
 * @returns beside it the messages that its records share; undefined when its file could not be read
 *   before, so that they are not known
 */
async function openWhole(
  dependencies: OutboxDependencies,
  { file }: OutboxOptions,
  { quarantine, found: onDamaged }: Damage,
): Promise<{ store: OutboxStore; messages: OutboxScan['messages'] | undefined }> {
  const scan = createOutboxScan()
  const { directory } = dependencies
  const store = await openOutboxStore(directory, { ...file, onRow: scan.onRow, onDamaged })
  try {
    const found = scan.result()
    await healOutbox({ ...dependencies, store, quarantine }, found)
    return { store, messages: canReadPages ? found.messages : undefined }
  } catch (thrown) {
    await store.close()
    throw thrown
  }
}

function limitsOf({ bytesMax = outboxBytesMaxDefault, ...options }: OutboxOptions): OutboxLimits {
  return {
    bytesMax,
    destinationBytesMax: bytesMax * destinationShare,
    destinationsMax: options.destinationsMax ?? destinationsMaxDefault,
    deadLetterBytesMax: options.deadLetterBytesMax ?? deadLetterBytesMaxDefault,
  }
}

/** Reads what is on disk beside the records. Closes a store that cannot be read. */
async function readStored(
  store: OutboxStore,
  directory: string,
  { destinationsMax, ledgerRowsMax, hasRule }: OutboxOptions,
) {
  try {
    return {
      destinations: createDestinations(store.destinationRows(), store.countRows(), destinationsMax),
      ledger: createLedger(store.ledgerRows(), { rowsMax: ledgerRowsMax, hasRule }),
      lastSequence: store.lastSequence(),
    }
  } catch (thrown) {
    await store.close()
    if (thrown instanceof SluiceError) throw thrown
    const message = `The outbox in ${directory} cannot be read: ${messageOf(thrown)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
  }
}

function queuedDestination(entry: DestinationEntry): QueuedDestination {
  const { records, bytes } = countsOf(entry)
  return { id: entry.id, destination: entry.destination, records, bytes }
}
