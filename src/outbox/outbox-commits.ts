/**
 * Turns what callers append, remove and move into transactions of the store: every commit carries
 * the moves of records and the counters that these moves change. The invariants are in ledger.ts
 * and outbox-store.ts.
 */
import type { Reservation, Room } from './room.ts'
import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { CounterSums } from './books/counters.ts'
import type { DeadLetterOverflow } from './dead-letter-overflow.ts'
import {
  destinationWrite,
  deadLetterAdded,
  deadLetterRemoved,
  recordsRemoved,
} from './books/destinations.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import { targetOf } from './store/destination.ts'
import { createGroupCommit } from './store/group-commit.ts'
import type { Append, GroupCommit, Removal } from './store/group-commit.ts'
import { ledgerWrite, moves } from './books/ledger.ts'
import type { Ledger, LedgerMetrics, LedgerRow } from './books/ledger.ts'
import type { SharedMessages } from './books/shared-messages.ts'
import { releaseEntries } from './new-entry.ts'
import type { NewEntry } from './new-entry.ts'
import { deltasOf, messageChangesOf, messagePuts, messageRemovals } from './message-changes.ts'
import type { MessageChanges } from './message-changes.ts'
import type { Changes, DestinationRow, OutboxStore, RecordRemovals } from './store/outbox-store.ts'
import type { PendingRemovals, UnreadRecords } from './queue-reader.ts'

/** A record that is removed from the queue, delivered or not. */
interface RemovedEntry {
  readonly destination: DestinationEntry
  readonly sequence: number
  readonly row: LedgerRow
  readonly bytes: number
  /** The sequence of the message that it shares. */
  readonly messageId?: number | undefined
}

/** A record that was given up: a dead letter or the records of the error action replace it. */
export interface GivenUpEntry extends RemovedEntry {
  /** The dead letter, as bytes. Absent when records of the error action replace it. */
  readonly deadLetter?: Buffer | undefined
  /** Its bytes are damaged, and in quarantine: nothing replaces it. */
  readonly isDamaged?: boolean | undefined
}

export interface RemovedDeadLetter {
  readonly id: number
  readonly destination: DestinationEntry
  readonly row: LedgerRow
  readonly bytes: number
  /** `replay`: its record is among the entries of the same transaction, and counted there. */
  readonly move: 'replay' | 'replayAsOther' | 'dropDeadLetter'
}

/** All of it is written, or none. What its entries hold is released then, or when it is refused. */
interface Transaction extends Append {
  /** The reservations of its records, which end with it. */
  readonly reserved?: readonly Reservation[] | undefined
  readonly entries: readonly NewEntry[]
  readonly givenUp?: readonly GivenUpEntry[] | undefined
  readonly deadLetters?: readonly RemovedDeadLetter[] | undefined
}

/** Delivered records of one action and destination, of one call. */
export interface Delivered extends RecordRemovals, Removal {
  readonly move: 'deliver'
  readonly destination: DestinationEntry
  readonly row: LedgerRow
  readonly bytes: number
  /** The sequences of the messages that they share, one for each record that shares its own. */
  readonly messageIds?: readonly number[] | undefined
}

/** What nothing waits for: removals of delivered records, and records refused for lack of room. */
type Lingering = Delivered | ({ readonly move: 'refuse'; readonly row: LedgerRow } & Removal)

export interface Commits extends GroupCommit<Transaction, Lingering> {
  /** Whether the last commit failed: the disk may be full. */
  readonly areFailing: () => boolean
}

interface CommitParts {
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'outboxCommitSeconds'>
  readonly store: OutboxStore
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly pendingRemovals: PendingRemovals
  readonly unread: UnreadRecords
  readonly overflow: Pick<DeadLetterOverflow, 'dropped'>
  readonly onAppended: (destinationIds: readonly number[]) => void
  readonly room: Pick<Room, 'released' | 'roomMade'>
  readonly sharedMessages: Pick<SharedMessages, 'lastOf' | 'add' | 'remove'>
}

/** What a commit adds to the counters. */
interface Sums {
  readonly ledger: CounterSums<LedgerRow>
  readonly destinations: CounterSums<DestinationEntry>
}

interface Prepared {
  readonly changes: Changes
  /** Everything that the commit carries. */
  readonly sums: Sums
  /** The part that memory counts only once the commit is durable. */
  readonly fresh: Sums
  readonly messages: MessageChanges
}

const newSums = (): Sums => ({ ledger: createCounterSums(), destinations: createCounterSums() })

export function createOutboxCommits(parts: CommitParts): Commits {
  const { clock, metrics, store, destinations, pendingRemovals, unread, onAppended, room } = parts
  const { sharedMessages } = parts
  const report = createFailureReport(parts)
  let prepared: Prepared | undefined

  const commits = createGroupCommit<Transaction, Lingering>({
    clock,
    async write(transactions, lingering) {
      prepared = prepare(parts, transactions, lingering)
      await store.write(prepared.changes)
    },
    onDurable(transactions) {
      report.succeeded()
      if (prepared) apply(parts, prepared)
      prepared = undefined
      if (transactions.length === 0) return
      const ids = new Set<number>()
      const nowMs = clock.monotonicMs()
      for (const { entries, requestedMs } of transactions) {
        for (const { destination, record, deadLetter } of entries) {
          if (deadLetter !== undefined) continue
          ids.add(destination.id)
          unread.add(destination.id, record)
        }
        metrics.outboxCommitSeconds.observe((nowMs - requestedMs) / 1_000)
      }
      if (ids.size > 0) onAppended([...ids])
    },
    onFailed(error) {
      prepared = undefined
      report.failed(error)
    },
    compact: sumRefusals,
    onEnded(transactions) {
      for (const { entries, reserved } of transactions) {
        releaseEntries(parts, entries)
        if (reserved) room.released(reserved)
      }
    },
  })
  return { ...commits, areFailing: report.areFailing }

  /** Brings memory up to date with what was written. */
  function apply({ ledger, ledgerMetrics }: CommitParts, done: Prepared): void {
    const { changes, sums, fresh, messages } = done
    for (const gone of changes.removals) pendingRemovals.removed(gone)
    destinations.written(
      changes.destinations.map(({ id }) => id),
      changes.destinationRemovals,
    )
    unread.forget(changes.destinationRemovals)
    if (changes.ledgerRemovals.length > 0) ledger.forgottenRemoved(changes.ledgerRemovals)
    for (const [row, delta] of sums.ledger.entries()) addTo(row.stored, delta)
    for (const [entry, delta] of sums.destinations.entries()) addTo(entry.stored, delta)
    for (const [row, delta] of fresh.ledger.entries()) addTo(row.live, delta)
    for (const [entry, delta] of fresh.destinations.entries()) destinations.count(entry, delta)
    ledgerMetrics.moved(fresh.ledger)
    countMessages(messages)
  }

  function countMessages({ added, leaving }: MessageChanges): void {
    for (const message of added) sharedMessages.add(message)
    if (leaving.length > 0) room.roomMade(sharedMessages.remove(leaving))
  }
}

/** Joins refused records into one number a row: every QoS 0 message may add one. */
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
  const { destinations, ledger, sharedMessages } = parts
  const moved = movesOf(transactions, lingering)
  const messages = messageChangesOf(moved, sharedMessages)
  const fresh = newSums()
  for (const delta of deltasOf(messages)) fresh.destinations.add(destinations.ofNone(), delta)
  addEntries(fresh, moved.entries)
  for (const { row, destination, deadLetter } of moved.failed) {
    fresh.ledger.add(row, moves.failToDeadLetters)
    fresh.destinations.add(destination, deadLetterAdded(deadLetter.length))
  }
  for (const { row, destination, bytes, deadLetter, isDamaged } of moved.givenUp) {
    const giveUp = deadLetter ? 'giveUpToDeadLetters' : 'giveUpToErrorAction'
    fresh.ledger.add(row, moves[isDamaged ? 'quarantine' : giveUp])
    fresh.destinations.add(destination, recordsRemoved(1, bytes))
    if (deadLetter) fresh.destinations.add(destination, deadLetterAdded(deadLetter.length))
  }
  const overflow = parts.overflow.dropped(fresh.destinations, moved.deadLetters)
  for (const { row, destination, bytes, move } of [...moved.deadLetters, ...overflow]) {
    fresh.destinations.add(destination, deadLetterRemoved(bytes))
    if (move !== 'replay') fresh.ledger.add(row, moves[move])
  }
  requireRows(fresh.destinations.entries().keys(), destinations)
  const sums = newSums()
  for (const [row, delta] of fresh.ledger.entries()) sums.ledger.add(row, delta)
  for (const [entry, delta] of fresh.destinations.entries()) sums.destinations.add(entry, delta)
  for (const gone of lingering) {
    sums.ledger.add(gone.row, moves[gone.move], gone.count)
    if (gone.move === 'refuse') continue
    sums.destinations.add(gone.destination, recordsRemoved(gone.count, gone.bytes))
  }
  const changes = changesOf({ ...moved, messages }, overflow, sums, destinations, ledger)
  return { changes, sums, fresh, messages }
}

/** Most entries of a commit belong to few actions: equal neighbours are counted together. */
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
  /** Those that are written as dead letters. */
  readonly failed: (NewEntry & { readonly deadLetter: Buffer })[]
  lastSequence: number | undefined
  readonly givenUp: GivenUpEntry[]
  readonly deadLetters: RemovedDeadLetter[]
  readonly delivered: readonly Delivered[]
}

function movesOf(transactions: readonly Transaction[], lingering: readonly Lingering[]): Moved {
  const delivered = lingering.filter((gone) => gone.move === 'deliver')
  const moved: Moved = {
    entries: [],
    failed: [],
    lastSequence: undefined,
    givenUp: [],
    deadLetters: [],
    delivered,
  }
  for (const { entries, givenUp, deadLetters } of transactions) {
    for (const entry of entries) {
      const { deadLetter } = entry
      if (deadLetter === undefined) moved.entries.push(entry)
      else moved.failed.push({ ...entry, deadLetter })
    }
    moved.lastSequence = entries.at(-1)?.record.sequence ?? moved.lastSequence
    if (givenUp) moved.givenUp.push(...givenUp)
    if (deadLetters) moved.deadLetters.push(...deadLetters)
  }
  return moved
}

function changesOf(
  moved: Moved & Pick<Prepared, 'messages'>,
  overflow: readonly RemovedDeadLetter[],
  sums: Sums,
  destinations: Destinations,
  ledger: Ledger,
): Changes {
  return {
    destinations: newRows(sums, destinations),
    destinationRemovals: [...destinations.evicted()],
    puts:
      moved.messages.added.length === 0
        ? moved.entries
        : [...messagePuts(moved.messages), ...moved.entries],
    removals: [
      ...moved.delivered,
      ...messageRemovals(moved.messages),
      ...moved.givenUp.map(({ destination, sequence }) => ({ destination, sequences: [sequence] })),
    ],
    deadLetters: [
      ...moved.givenUp.flatMap(({ sequence, deadLetter }) =>
        deadLetter ? [{ id: sequence, value: deadLetter }] : [],
      ),
      ...moved.failed.map(({ record, deadLetter }) => ({ id: record.sequence, value: deadLetter })),
    ],
    deadLetterRemovals: [...moved.deadLetters, ...overflow].map(({ id }) => id),
    counts: Array.from(sums.destinations.entries(), ([entry, delta]) =>
      destinationWrite(entry, delta),
    ),
    ledger: Array.from(sums.ledger.entries(), ([row, delta]) => ledgerWrite(row, delta)),
    ledgerRemovals: [...ledger.forgotten()],
    lastSequence: moved.lastSequence,
  }
}

/**
 * A record or dead letter of a destination that was forgotten could be neither read nor delivered:
 * a commit that has one is refused as a whole.
 */
function requireRows(entries: Iterable<DestinationEntry>, destinations: Destinations): void {
  for (const entry of entries) {
    if (destinations.entryWithId(entry.id) === entry) continue
    throw new SluiceError(
      'OutboxWriteFailed',
      `destination ${entry.id} (${targetOf(entry.destination)}) has no row in the outbox`,
    )
  }
}

/** The rows that a commit must carry: every commit carries a row until one has succeeded. */
function newRows(sums: Sums, destinations: Destinations): DestinationRow[] {
  return Array.from(sums.destinations.entries().keys()).filter(
    (entry) => !entry.isStored && destinations.entryWithId(entry.id) === entry,
  )
}

/** Logs when commits begin to fail, once a minute while they fail, and when they succeed again. */
function createFailureReport({ logger, clock, directory }: CommitParts) {
  const log = createLimitedLog({ logger, clock })
  let announced = false
  let hasFailed = false
  return {
    areFailing: () => hasFailed,
    failed(thrown: unknown) {
      hasFailed = true
      const written = log.error(
        'failed',
        { directory, reason: messageOf(thrown) },
        'outbox cannot write: nothing is acknowledged until it can (is the disk full?)',
      )
      announced ||= written
    },
    succeeded() {
      hasFailed = false
      if (announced) logger.info({ directory }, 'outbox writes again')
      announced = false
    },
  }
}
