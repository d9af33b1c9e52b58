/**
 * The outbox: every record that was accepted and is not yet delivered, on disk.
 *
 * What holds, whatever happens:
 * - A record whose `append` resolved is on disk until it is settled, through `kill -9` and loss of
 *   power. An `append` that rejected has left nothing.
 * - All records of one `append` stand or fall together, in one transaction.
 * - The records of a destination are read in the order in which they were appended. Each
 *   destination has its own range of keys: a slow one neither delays nor pins another.
 * - A settled record is not read again; on disk it is gone after a further commit. A crash before
 *   that brings it back: delivery is at least once.
 * - Only what is durable is counted and read.
 *
 * The bytes on disk are described in outbox-store.ts and record-codec.ts.
 */
import type { Clock } from '../clock.ts'
import { SluiceError, messageOf } from '../errors.ts'
import { createLimitedLog } from '../limited-log.ts'
import type { Logger, Metrics } from '../telemetry.ts'
import type { Destination } from './destination.ts'
import { createDestinationTable } from './destination-table.ts'
import type { DestinationTable } from './destination-table.ts'
import { createGroupCommit } from './group-commit.ts'
import type { Append, GroupCommit } from './group-commit.ts'
import { createCounts } from './outbox-counts.ts'
import type { Counts } from './outbox-counts.ts'
import { openOutboxStore } from './outbox-store.ts'
import type { DestinationRow, OutboxStore, StoredEntry } from './outbox-store.ts'
import { acceptedAtMsOf, decodeRecord, encodeRecord, payloadBytesOf } from './record-codec.ts'
import type { StoredRecord } from './record-codec.ts'
import type { Origin } from './origin.ts'
import { createSettledSet } from './settled-set.ts'
import type { SettledSet } from './settled-set.ts'

export { batchBytesMax, batchCountMax, deliveryDefaults, roleArnOf } from './destination.ts'
export type {
  DeliverySettings,
  Destination,
  DestinationCredentials,
  Ordering,
} from './destination.ts'
export type { Origin } from './origin.ts'

/** A record that a rule's action gave for a message. */
export interface NewRecord {
  readonly destination: Destination
  readonly partitionKey: string
  /** Decimal, 0 to 2^128 - 1: chooses the shard in place of the partition key. */
  readonly explicitHashKey?: string
  readonly data: Buffer
  /** Whose record it is, for the ledger and for messages. */
  readonly ruleName: string
  /** `actions[<index>]` of that rule; `errorActionIndex` for its error action. */
  readonly actionIndex: number
  readonly origin: Origin
}

/** Stands for a rule's error action where an action's index does. */
export const errorActionIndex = -1

/** A record that waits for delivery. Sequences grow in the order of appends, with gaps. */
export interface QueuedRecord extends StoredRecord {
  readonly sequence: number
  /** Bytes of data and partition key, as Kinesis counts them. */
  readonly bytes: number
}

/** A destination and what waits for it. */
export interface QueuedDestination {
  readonly id: number
  readonly destination: Destination
  readonly records: number
  readonly bytes: number
}

export interface ReadLimits {
  readonly countMax: number
  /** The first record is given even if it is larger. */
  readonly bytesMax: number
}

export type AppendedListener = (destinationIds: readonly number[]) => void

/** What is accepted and not yet delivered, on disk. */
export interface Outbox {
  /**
   * Takes the records of one message, all or none, in the order of calls.
   *
   * Resolves when they are flushed to disk: only then may the message be acknowledged.
   * @throws SluiceError OutboxWriteFailed (rejects): none of them was taken
   */
  append(records: readonly NewRecord[]): Promise<void>
  /** The durable, unsettled records of a destination after a sequence (0: from the first). */
  read(destinationId: number, afterSequence: number, limits: ReadLimits): QueuedRecord[]
  /** Forgets delivered records, each at most once. They are removed from disk a little later. */
  settle(destinationId: number, records: readonly QueuedRecord[]): void
  /** Every destination that records were ever accepted for, by id. */
  destinations(): readonly QueuedDestination[]
  size(): { readonly records: number; readonly bytes: number }
  /** When the oldest record that waits for a destination was accepted. */
  oldestAcceptedAtMs(destinationId: number): number | undefined
  /** Calls `listener` with destinations that have new durable records; returns its removal. */
  onAppended(listener: AppendedListener): () => void
  /** Writes what waits, flushes and closes. Further appends are refused. */
  close(): Promise<void>
}

export interface OutboxDependencies {
  /** The data folder, locked by this process. */
  readonly directory: string
  readonly metrics: Pick<
    Metrics,
    'outboxRecords' | 'outboxBytes' | 'outboxCommitSeconds' | 'recordsAccepted'
  >
  readonly logger: Logger
  readonly clock: Clock
}

/** The records of one message on their way to disk. */
interface RecordsAppend extends Append {
  readonly entries: readonly NewEntry[]
}

interface NewEntry extends StoredEntry {
  readonly ruleName: string
  readonly actionIndex: number
  readonly bytes: number
}

/**
 * Opens the outbox in a data folder and counts what it holds.
 *
 * @throws SluiceError DataFolderUnusable
 */
export async function openOutbox(dependencies: OutboxDependencies): Promise<Outbox> {
  const { directory, clock } = dependencies
  const store = openOutboxStore(directory)
  const { table, counts, lastSequence } = await readStored(store, dependencies)
  const settled = createSettledSet()
  const listeners = new Set<AppendedListener>()
  const encode = createEncoder(table, lastSequence)
  const commits = startCommits({ ...dependencies, store, table, counts, settled, listeners })

  function* unsettledAfter(destinationId: number, afterSequence: number) {
    for (const entry of store.entriesAfter(destinationId, afterSequence)) {
      if (!settled.has(entry)) yield entry
    }
  }

  return Object.freeze({
    async append(records: readonly NewRecord[]) {
      if (records.length === 0) return
      const handedMs = clock.nowMs()
      const entries = records.map((record) => encode(record, handedMs))
      const bytes = entries.reduce((sum, { value }) => sum + value.length, 0)
      await commits.append({ entries, bytes, handedMs })
    },
    read(destinationId: number, afterSequence: number, { countMax, bytesMax }: ReadLimits) {
      const records: QueuedRecord[] = []
      let readBytes = 0
      for (const { sequence, value } of unsettledAfter(destinationId, afterSequence)) {
        const bytes = payloadBytesOf(value)
        readBytes += bytes
        if (records.length === countMax || (records.length > 0 && readBytes > bytesMax)) break
        const { ruleName, actionIndex, acceptedAtMs, partitionKey, data } = decodeRecord(value)
        records.push({ sequence, bytes, ruleName, actionIndex, acceptedAtMs, partitionKey, data })
      }
      return records
    },
    settle(destinationId: number, records: readonly QueuedRecord[]) {
      if (records.length === 0) return
      const keys = records.map(({ sequence }) => ({ destinationId, sequence }))
      settled.add(keys)
      counts.removed(destinationId, records)
      commits.remove(keys)
    },
    destinations: () =>
      table.entries().map(({ id, destination, records, bytes }) => {
        return { id, destination, records, bytes }
      }),
    size: () => counts.total(),
    oldestAcceptedAtMs(destinationId: number) {
      const [oldest] = unsettledAfter(destinationId, 0)
      return oldest && acceptedAtMsOf(oldest.value)
    },
    onAppended(listener: AppendedListener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async close() {
      await commits.close()
      await store.close()
    },
  })
}

/** Counts what is on disk. A store that cannot be read is closed again. */
async function readStored(store: OutboxStore, dependencies: OutboxDependencies) {
  try {
    const table = createDestinationTable(store.destinationRows())
    const counts = createCounts(table, dependencies)
    return { table, counts, lastSequence: counts.addStored(store.entries()) }
  } catch (error) {
    await store.close()
    if (error instanceof SluiceError) throw error
    const message = `The outbox in ${dependencies.directory} cannot be read: ${messageOf(error)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: error })
  }
}

interface CommitParts extends OutboxDependencies {
  readonly store: OutboxStore
  readonly table: DestinationTable
  readonly counts: Counts
  readonly settled: SettledSet
  readonly listeners: ReadonlySet<AppendedListener>
}

function startCommits(parts: CommitParts): GroupCommit<RecordsAppend> {
  const { clock, metrics, store, table, counts, settled, listeners } = parts
  const report = createFailureReport(parts)

  return createGroupCommit<RecordsAppend>({
    clock,
    write(appends, removals) {
      const puts = appends.flatMap(({ entries }) => entries)
      return store.write({ destinations: newRows(puts, table), puts, removals })
    },
    onDurable(appends, removals) {
      report.succeeded()
      settled.removed(removals)
      if (appends.length === 0) return
      const entries = appends.flatMap((append) => append.entries)
      const destinationIds = [...new Set(entries.map(({ destinationId }) => destinationId))]
      table.markStored(destinationIds)
      counts.accepted(entries)
      const nowMs = clock.nowMs()
      for (const { handedMs } of appends) {
        metrics.outboxCommitSeconds.observe((nowMs - handedMs) / 1_000)
      }
      for (const listener of listeners) listener(destinationIds)
    },
    onFailed: (error) => report.failed(error),
  })
}

/** Gives new records their place: sequences after `lastSequence`, ids of their destinations. */
function createEncoder(table: DestinationTable, lastSequence: number) {
  let sequence = lastSequence
  return (record: NewRecord, acceptedAtMs: number): NewEntry => {
    const { ruleName, actionIndex, partitionKey, data } = record
    const value = encodeRecord({ ruleName, actionIndex, acceptedAtMs, partitionKey, data })
    const destinationId = table.entryOf(record.destination).id
    const bytes = payloadBytesOf(value)
    return { destinationId, sequence: ++sequence, value, ruleName, actionIndex, bytes }
  }
}

/** The rows that a commit must carry: a row goes with each commit until one has succeeded. */
function newRows(entries: readonly NewEntry[], table: DestinationTable): DestinationRow[] {
  const rows = new Map<number, DestinationRow>()
  for (const { destinationId } of entries) {
    const entry = table.entryWithId(destinationId)
    if (entry?.stored === false) rows.set(destinationId, entry)
  }
  return [...rows.values()]
}

/** Says in the log when commits begin to fail, once a minute while they do, and when it is over. */
function createFailureReport({ logger, clock, directory }: OutboxDependencies) {
  const log = createLimitedLog({ logger, clock })
  let announced = false
  return {
    failed(error: unknown) {
      const written = log.error(
        'failed',
        { directory, reason: messageOf(error) },
        'outbox cannot write: nothing is acknowledged until it can (is the disk full?)',
      )
      announced ||= written
    },
    succeeded() {
      if (announced) logger.info({ directory }, 'outbox writes again')
      announced = false
    },
  }
}
