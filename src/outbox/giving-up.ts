import type { Admission, Placed } from './room.ts'
import type { Clock } from '../base/clock.ts'
import { encodeLetter } from './store/dead-letter-codec.ts'
import type { GivenUpReason } from './store/dead-letter-codec.ts'
import type { DestinationEntry, DestinationTable } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import type { LedgerMetrics } from './books/ledger-metrics.ts'
import { holdAll, releaseEntries } from './new-entry.ts'
import type { NewEntries, NewEntry } from './new-entry.ts'
import type { NewRecord } from './store/new-record.ts'
import type { Commits, GivenUpEntry } from './outbox-commits.ts'
import type { QueuedRecord } from './store/queued-record.ts'
import type { SettledSet } from './store/settled-set.ts'

/** A record that is given up, and what takes its place. */
export interface RecordToGiveUp {
  readonly record: QueuedRecord
  readonly reason: GivenUpReason
  /** Calls that failed for it, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  /**
   * What the rule's error action made of it, and of the other records that have the same list, an
   * object: they are handed over together, or become dead letters together, when there are too
   * many destinations. Absent: the record becomes a dead letter.
   */
  readonly replacements?: readonly NewRecord[]
}

interface GiveUpParts {
  readonly table: DestinationTable
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly settled: SettledSet
  readonly commits: Commits
  readonly admission: Admission
  readonly clock: Clock
  /** The time of acceptance of records that get their places now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
}

/**
 * Records on their way from one queue to another are not held for want of room: the outbox as a
 * whole grows by no more than what an error action adds to a message.
 */
export function createGiveUp(parts: GiveUpParts) {
  const { table, settled, commits, admission, clock } = parts

  return async (destinationId: number, records: readonly RecordToGiveUp[]): Promise<void> => {
    const destination = table.entryWithId(destinationId)
    if (!destination || records.length === 0) return
    const handedMs = clock.monotonicMs()
    const acceptedAtMs = parts.acceptedAt(handedMs)
    const { entries, givenUp } = replaced(parts, destination, records, acceptedAtMs)
    const leaving = { destination, sequences: givenUp.map(({ sequence }) => sequence) }
    const placed = entries.map((entry): Placed => {
      return { entry: entry.destination, partitionKey: '', bytes: entry.record.stored.length }
    })
    const letterBytes = givenUp.reduce((sum, { letter }) => sum + (letter?.length ?? 0), 0)
    const bytes = placed.reduce((sum, place) => sum + place.bytes, letterBytes)
    admission.pass(placed)
    settled.add(leaving)
    try {
      await commits.append({ entries, givenUp, bytes, handedMs })
    } catch (error) {
      settled.removed(leaving)
      throw error
    } finally {
      admission.done(placed)
      admission.roomMade([destination])
    }
  }
}

/** What takes the place of each: what it was handed to, if that has room, or a dead letter. */
function replaced(
  parts: GiveUpParts,
  destination: DestinationEntry,
  records: readonly RecordToGiveUp[],
  acceptedAtMs: number,
) {
  const { table, ledger, newEntries } = parts
  const entries: NewEntry[] = []
  const decided = new Map<readonly NewRecord[], boolean>()

  function isHandedOver(takers: readonly NewRecord[]): boolean {
    const known = decided.get(takers)
    if (known !== undefined) return known
    const held = holdAll(table, takers)
    if (held) entries.push(...newEntries(held, acceptedAtMs))
    decided.set(takers, held !== undefined)
    return held !== undefined
  }

  try {
    const givenUp = records.map((given): GivenUpEntry => {
      const { ruleName, actionIndex, sequence, stored } = given.record
      const row = ledger.rowOf(ruleName, actionIndex)
      const leaving: GivenUpEntry = { destination, sequence, row, bytes: stored.length }
      if (given.replacements && isHandedOver(given.replacements)) return leaving
      const letter = encodeLetter({ ...given, destinationId: destination.id, record: stored })
      return { ...leaving, letter }
    })
    return { entries, givenUp }
  } catch (thrown) {
    releaseEntries(parts, entries)
    throw thrown
  }
}
