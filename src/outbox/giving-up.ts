import type { Admission, Placed } from './room.ts'
import type { Clock } from '../base/clock.ts'
import { encodeLetter } from './store/dead-letter-codec.ts'
import type { OutReason } from './store/dead-letter-codec.ts'
import type { DestinationTable } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import type { LedgerMetrics } from './books/ledger-metrics.ts'
import type { NewRecord } from './store/new-record.ts'
import type { Commits, GivenUpEntry, NewEntry } from './outbox-commits.ts'
import type { QueuedRecord } from './store/queued-record.ts'
import type { SettledSet } from './store/settled-set.ts'

/** A record that is given up, and what takes its place. */
export interface GivenUp {
  readonly record: QueuedRecord
  readonly reason: OutReason
  /** Calls that failed for it, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  /**
   * What the rule's error action made of it: an empty list when another record of the message
   * carries it. Absent: the record becomes a dead letter.
   */
  readonly handedTo?: readonly NewRecord[]
}

export interface GiveUpParts {
  readonly table: DestinationTable
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly settled: SettledSet
  readonly commits: Commits
  readonly admission: Admission
  readonly clock: Clock
  readonly newEntry: (record: NewRecord, acceptedAtMs: number) => NewEntry
}

/**
 * Records on their way from one queue to another are not held for want of room: the outbox as a
 * whole grows by no more than what an error action adds to a message.
 */
export function createGiveUp(parts: GiveUpParts) {
  const { table, ledger, settled, commits, admission, clock, newEntry } = parts

  return async (destinationId: number, records: readonly GivenUp[]): Promise<void> => {
    const destination = table.entryWithId(destinationId)
    if (!destination || records.length === 0) return
    const handedMs = clock.nowMs()
    const entries: NewEntry[] = []
    const givenUp = records.map((given): GivenUpEntry => {
      const { ruleName, actionIndex, sequence, stored } = given.record
      const row = ledger.rowOf(ruleName, actionIndex)
      const leaving: GivenUpEntry = { destination, sequence, row, bytes: stored.length }
      const takers = given.handedTo
      if (takers?.every((taker) => table.admits(taker.destination))) {
        for (const taker of takers) {
          const entry = newEntry(taker, handedMs)
          entry.destination.arriving += 1
          entries.push(entry)
        }
        return leaving
      }
      return { ...leaving, letter: encodeLetter({ ...given, destinationId, record: stored }) }
    })
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
      for (const { entry } of placed) entry.arriving -= 1
      admission.done(placed)
      admission.roomMade([destination])
    }
  }
}
