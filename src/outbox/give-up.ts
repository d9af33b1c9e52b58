import type { Room, Reservation } from './room.ts'
import type { Clock } from '../base/clock.ts'
import { encodeDeadLetter } from './store/dead-letter-codec.ts'
import type { GivenUpReason } from './store/dead-letter-codec.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger, LedgerMetrics } from './books/ledger.ts'
import { heldOnly, holdAll, releaseEntries } from './new-entry.ts'
import type { NewEntries, NewEntry } from './new-entry.ts'
import { wholeValueOf } from './store/queued-record.ts'
import type { NewRecord, QueuedRecord } from './store/queued-record.ts'
import type { Commits, GivenUpEntry } from './outbox-commits.ts'
import type { PendingRemovals } from './queue-reader.ts'

/** A record that is given up, and what replaces it. */
export interface RecordToGiveUp {
  readonly record: QueuedRecord
  readonly reason: GivenUpReason
  /** How many calls failed for the record, and when the first and the last did (epoch ms). */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  /**
   * The records that the rule's error action made of this record. Records that share one list
   * object are replaced together; when there are too many destinations for that list, they become
   * dead letters together. Absent: the record becomes a dead letter.
   */
  readonly replacements?: readonly NewRecord[] | undefined
}

interface GiveUpParts {
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly pendingRemovals: PendingRemovals
  readonly commits: Commits
  readonly room: Room
  readonly clock: Clock
  /** The time of acceptance, for records that get their sequences now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
}

/**
 * Replacements do not wait for room: the outbox as a whole grows by no more than what an error
 * action adds to a message.
 */
export function createGiveUp(parts: GiveUpParts) {
  const { destinations, pendingRemovals, commits, room, clock } = parts

  return async (destinationId: number, records: readonly RecordToGiveUp[]): Promise<void> => {
    const destination = destinations.entryWithId(destinationId)
    if (!destination || records.length === 0) return
    const requestedMs = clock.monotonicMs()
    const acceptedAtMs = parts.acceptedAt(requestedMs)
    const { entries, givenUp } = replaced(parts, destination, records, acceptedAtMs)
    const removals = { destination, sequences: givenUp.map(({ sequence }) => sequence) }
    const reserved = entries.map((entry): Reservation => {
      return { entry: entry.destination, partitionKey: '', bytes: entry.record.stored.length }
    })
    const deadLetterBytes = givenUp.reduce(
      (sum, { deadLetter }) => sum + (deadLetter?.length ?? 0),
      0,
    )
    const bytes = reserved.reduce((sum, reservation) => sum + reservation.bytes, deadLetterBytes)
    room.reserve(reserved)
    pendingRemovals.add(removals)
    try {
      await commits.append({ entries, givenUp, bytes, requestedMs })
    } catch (thrown) {
      pendingRemovals.removed(removals)
      throw thrown
    } finally {
      room.released(reserved)
      room.roomMade([destination])
    }
  }
}

/**
 * What replaces each record: its replacements, if their destinations have room, or a dead letter.
 */
function replaced(
  parts: GiveUpParts,
  destination: DestinationEntry,
  records: readonly RecordToGiveUp[],
  acceptedAtMs: number,
) {
  const { destinations, ledger, newEntries } = parts
  const entries: NewEntry[] = []
  const decided = new Map<readonly NewRecord[], boolean>()

  function addReplacements(replacements: readonly NewRecord[]): boolean {
    const known = decided.get(replacements)
    if (known !== undefined) return known
    const held = holdAll(destinations, replacements, heldOnly)
    if (held) entries.push(...newEntries(replacements, held, acceptedAtMs))
    decided.set(replacements, held !== undefined)
    return held !== undefined
  }

  try {
    const givenUp = records.map((given): GivenUpEntry => {
      const { ruleName, actionIndex, sequence, stored, message } = given.record
      const row = ledger.rowOf(ruleName, actionIndex)
      const left = { bytes: stored.length, messageId: message?.id }
      const entry: GivenUpEntry = { destination, sequence, row, ...left }
      if (given.replacements && addReplacements(given.replacements)) return entry
      const deadLetter = encodeDeadLetter({
        ...given,
        destinationId: destination.id,
        // Dead letters share nothing: those that are dropped to make room must give theirs back.
        record: wholeValueOf(given.record),
      })
      return { ...entry, deadLetter }
    })
    return { entries, givenUp }
  } catch (thrown) {
    releaseEntries(parts, entries)
    throw thrown
  }
}
