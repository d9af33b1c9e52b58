/**
 * From what callers hand in to transactions of the store: every commit carries the moves of records
 * and the counters that they change. See ledger.ts and outbox-store.ts for what holds.
 */
import type { Placed } from './room.ts'
import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { CounterSums } from './books/counters.ts'
import { decodeLetter } from './store/dead-letter-codec.ts'
import {
  destinationWrite,
  letterAdded,
  letterRemoved,
  recordsRemoved,
} from './books/destinations.ts'
import type { DestinationEntry, DestinationTable } from './books/destinations.ts'
import { createGroupCommit } from './store/group-commit.ts'
import type { Append, GroupCommit, Removal } from './store/group-commit.ts'
import type { Leave } from './leave.ts'
import { ledgerWrite, moves } from './books/ledger.ts'
import type { Ledger, LedgerRow } from './books/ledger.ts'
import type { LedgerMetrics } from './books/ledger-metrics.ts'
import { releaseEntries } from './new-entry.ts'
import type { NewEntry } from './new-entry.ts'
import type { Changes, DestinationRow, OutboxStore, RecordRemovals } from './store/outbox-store.ts'
import { decodeRecord } from './store/record-codec.ts'
import type { SettledSet } from './store/settled-set.ts'
import type { UnreadRecords } from './unread-records.ts'

/** A record that leaves the queue, delivered or not. */
interface LeavingEntry {
  readonly destination: DestinationEntry
  readonly sequence: number
  readonly row: LedgerRow
  readonly bytes: number
}

/** A record that was given up leaves the queue for the dead letters, or to the error action. */
export interface GivenUpEntry extends LeavingEntry {
  /** The dead letter, as bytes; absent when the error action took the record. */
  readonly letter?: Buffer
}

export interface LeavingLetter {
  readonly id: number
  readonly destination: DestinationEntry
  readonly row: LedgerRow
  readonly bytes: number
  /** `replay`: its record is among the entries of the same transaction, and counted there. */
  readonly move: 'replay' | 'replayAsOther' | 'discard'
}

/** What stands or falls together. What its entries hold is released when it is on disk or refused. */
interface Transaction extends Append {
  /** Records whose place was held until now. */
  readonly placed?: readonly Placed[]
  readonly entries: readonly NewEntry[]
  readonly givenUp?: readonly GivenUpEntry[]
  readonly letters?: readonly LeavingLetter[]
}

/** Delivered records of one action and destination, of one call. */
export interface Delivered extends RecordRemovals, Removal {
  readonly move: 'deliver'
  readonly destination: DestinationEntry
  readonly row: LedgerRow
  readonly bytes: number
}

/** What nobody waits for: delivered records, or those refused for want of room. */
type Lingering = Delivered | ({ readonly move: 'refuse'; readonly row: LedgerRow } & Removal)

export type Commits = GroupCommit<Transaction, Lingering>

/** Dead letters on disk; beyond it the oldest go. */
export const deadLetterBytesMax = 256 * 1024 * 1024

interface CommitParts {
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'outboxCommitSeconds'>
  readonly store: OutboxStore
  readonly table: DestinationTable
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly settled: SettledSet
  readonly unread: UnreadRecords
  readonly deadLetterBytesMax: number
  /** While a replay or a deletion is under way, no letter is pushed out. */
  readonly overflow: { readonly paused: boolean }
  readonly onAppended: (destinationIds: readonly number[]) => void
  readonly leave: Leave
}

/** What a commit adds to the counters. */
interface Sums {
  readonly ledger: CounterSums<LedgerRow>
  readonly destinations: CounterSums<DestinationEntry>
}

interface Prepared {
  readonly changes: Changes
  /** All that the commit carries. */
  readonly sums: Sums
  /** Of that, what becomes live with it. */
  readonly fresh: Sums
}

const newSums = (): Sums => ({ ledger: createCounterSums(), destinations: createCounterSums() })

export function startCommits(parts: CommitParts): Commits {
  const { clock, metrics, store, table, settled, unread, onAppended, leave } = parts
  const report = createFailureReport(parts)
  let prepared: Prepared | undefined

  return createGroupCommit<Transaction, Lingering>({
    clock,
    async write(transactions, lingering) {
      prepared = prepare(parts, transactions, lingering)
      await store.write(prepared.changes)
    },
    onDurable(transactions) {
      report.succeeded()
      if (prepared) settle(parts, prepared)
      prepared = undefined
      if (transactions.length === 0) return
      const ids = new Set<number>()
      const nowMs = clock.monotonicMs()
      for (const { entries, handedMs } of transactions) {
        for (const { destination, record } of entries) {
          ids.add(destination.id)
          unread.add(destination.id, record)
        }
        metrics.outboxCommitSeconds.observe((nowMs - handedMs) / 1_000)
      }
      if (ids.size > 0) onAppended([...ids])
    },
    onFailed(error) {
      prepared = undefined
      report.failed(error)
    },
    compact: sumRefusals,
    onSettled(transactions) {
      for (const { entries, placed } of transactions) {
        releaseEntries(parts, entries)
        if (placed) leave(placed)
      }
    },
  })

  /** What was written is now so in memory. */
  function settle({ ledger, ledgerMetrics }: CommitParts, done: Prepared): void {
    const { changes, sums, fresh } = done
    for (const gone of changes.removals) settled.removed(gone)
    table.written(
      changes.destinations.map(({ id }) => id),
      changes.destinationRemovals,
    )
    unread.forget(changes.destinationRemovals)
    if (changes.ledgerRemovals.length > 0) ledger.forgottenRemoved(changes.ledgerRemovals)
    for (const [row, delta] of sums.ledger.entries()) addTo(row.stored, delta)
    for (const [entry, delta] of sums.destinations.entries()) addTo(entry.stored, delta)
    for (const [row, delta] of fresh.ledger.entries()) addTo(row.live, delta)
    for (const [entry, delta] of fresh.destinations.entries()) table.count(entry, delta)
    ledgerMetrics.moved(fresh.ledger)
  }
}

/** Refused records are numbers of their rows: there may be one for each message of QoS 0. */
function sumRefusals(lingering: readonly Lingering[]): Lingering[] {
  const refused = new Map<LedgerRow, number>()
  for (const { move, row, count } of lingering) {
    if (move === 'refuse') refused.set(row, (refused.get(row) ?? 0) + count)
  }
  return [
    ...lingering.filter(({ move }) => move === 'deliver'),
    ...Array.from(refused, ([row, count]) => ({ move: 'refuse' as const, row, count })),
  ]
}

function prepare(
  parts: CommitParts,
  transactions: readonly Transaction[],
  lingering: readonly Lingering[],
): Prepared {
  const { table, ledger } = parts
  const moved = movesOf(transactions, lingering)
  const fresh = newSums()
  addEntries(fresh, moved.entries)
  for (const { row, destination, bytes, letter } of moved.givenUp) {
    fresh.ledger.add(row, moves[letter ? 'bury' : 'handOver'])
    fresh.destinations.add(destination, recordsRemoved(1, bytes))
    if (letter) fresh.destinations.add(destination, letterAdded(letter.length))
  }
  const overflow = overflowing(parts, fresh, moved.letters)
  for (const { row, destination, bytes, move } of [...moved.letters, ...overflow]) {
    fresh.destinations.add(destination, letterRemoved(bytes))
    if (move !== 'replay') fresh.ledger.add(row, moves[move])
  }
  requireRows(fresh.destinations.entries().keys(), table)
  const sums = newSums()
  for (const [row, delta] of fresh.ledger.entries()) sums.ledger.add(row, delta)
  for (const [entry, delta] of fresh.destinations.entries()) sums.destinations.add(entry, delta)
  for (const gone of lingering) {
    sums.ledger.add(gone.row, moves[gone.move], gone.count)
    if (gone.move === 'refuse') continue
    sums.destinations.add(gone.destination, recordsRemoved(gone.count, gone.bytes))
  }
  return { changes: changesOf(moved, overflow, sums, table, ledger), sums, fresh }
}

/** Most entries of a commit are of few actions: those in a row are counted together. */
function addEntries(sums: Sums, entries: readonly NewEntry[]): void {
  let first = 0
  let bytes = 0
  for (const [index, entry] of entries.entries()) {
    bytes += entry.record.stored.length
    const next = entries[index + 1]
    const { row, destination, move } = entry
    if (next?.row === row && next.destination === destination && next.move === move) continue
    const count = index + 1 - first
    sums.ledger.add(row, moves[move], count)
    sums.destinations.add(destination, [count, bytes, 0, 0])
    first = index + 1
    bytes = 0
  }
}

interface Moved {
  readonly entries: NewEntry[]
  readonly givenUp: GivenUpEntry[]
  readonly letters: LeavingLetter[]
  readonly delivered: readonly Delivered[]
}

function movesOf(transactions: readonly Transaction[], lingering: readonly Lingering[]): Moved {
  const delivered = lingering.filter((gone) => gone.move === 'deliver')
  const moved: Moved = { entries: [], givenUp: [], letters: [], delivered }
  for (const { entries, givenUp, letters } of transactions) {
    for (const entry of entries) moved.entries.push(entry)
    if (givenUp) moved.givenUp.push(...givenUp)
    if (letters) moved.letters.push(...letters)
  }
  return moved
}

function changesOf(
  moved: Moved,
  overflow: readonly LeavingLetter[],
  sums: Sums,
  table: DestinationTable,
  ledger: Ledger,
): Changes {
  const lastSequence = moved.entries.at(-1)?.record.sequence
  return {
    destinations: newRows(sums, table),
    destinationRemovals: [...table.evicted()],
    puts: moved.entries,
    removals: [
      ...moved.delivered,
      ...moved.givenUp.map(({ destination, sequence }) => ({ destination, sequences: [sequence] })),
    ],
    letters: moved.givenUp.flatMap(({ sequence, letter }) =>
      letter ? [{ id: sequence, value: letter }] : [],
    ),
    letterRemovals: [...moved.letters, ...overflow].map(({ id }) => id),
    counts: Array.from(sums.destinations.entries(), ([entry, delta]) =>
      destinationWrite(entry, delta),
    ),
    ledger: Array.from(sums.ledger.entries(), ([row, delta]) => ledgerWrite(row, delta)),
    ledgerRemovals: [...ledger.forgotten()],
    ...(lastSequence === undefined ? {} : { lastSequence }),
  }
}

/**
 * What is written for a destination that made room for another could be neither read nor delivered:
 * a commit that has such a record, or dead letter, is refused as a whole.
 */
function requireRows(destinations: Iterable<DestinationEntry>, table: DestinationTable): void {
  for (const entry of destinations) {
    if (table.entryWithId(entry.id) === entry) continue
    throw new SluiceError(
      'OutboxWriteFailed',
      `destination ${entry.id} (stream ${entry.destination.streamName}) has no row in the outbox`,
    )
  }
}

/** The rows that a commit must carry: a row goes with each commit until one has succeeded. */
function newRows(sums: Sums, table: DestinationTable): DestinationRow[] {
  return Array.from(sums.destinations.entries().keys()).filter(
    (entry) => !entry.isStored && table.entryWithId(entry.id) === entry,
  )
}

/** The oldest dead letters, as many as have to go for those of this commit to fit. */
function overflowing(
  { store, table, ledger, deadLetterBytesMax: bytesMax, overflow }: CommitParts,
  fresh: Sums,
  leaving: readonly LeavingLetter[],
): LeavingLetter[] {
  let bytes = table.total().letterBytes - leaving.reduce((sum, letter) => sum + letter.bytes, 0)
  for (const [, [, , , letterBytes = 0]] of fresh.destinations.entries()) bytes += letterBytes
  const found: LeavingLetter[] = []
  if (bytes <= bytesMax || overflow.paused) return found
  const gone = new Set(leaving.map(({ id }) => id))
  for (const { id, value } of store.lettersAfter(0)) {
    if (bytes <= bytesMax) break
    const { destinationId, record } = decodeLetter(value)
    const destination = table.entryWithId(destinationId)
    if (gone.has(id) || !destination) continue
    const { ruleName, actionIndex } = decodeRecord(record)
    const row = ledger.rowOf(ruleName, actionIndex)
    found.push({ id, destination, row, bytes: value.length, move: 'discard' })
    bytes -= value.length
  }
  return found
}

/** Says in the log when commits begin to fail, once a minute while they do, and when it is over. */
function createFailureReport({ logger, clock, directory }: CommitParts) {
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
