import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger, LedgerRow } from './books/ledger.ts'
import { encodeDeadLetter } from './store/dead-letter-codec.ts'
import type { FailedAction, NewRecord, QueuedRecord } from './store/queued-record.ts'
import { newQueuedRecord } from './store/queued-record.ts'
import { acceptedAt, encodeRecord } from './store/record-codec.ts'
import { encodeShare } from './sharing.ts'
import type { EncodedShare, Place } from './sharing.ts'

/**
 * A record on its way into the queue. Until its transaction is on disk or refused, it holds its
 * destination and its row of the ledger, so that neither is forgotten.
 */
export interface NewEntry {
  readonly record: QueuedRecord
  readonly destination: DestinationEntry
  readonly row: LedgerRow
  readonly move: 'accept' | 'replay' | 'failToDeadLetters'
  /** What is written instead of the record: its action failed. */
  readonly deadLetter?: Buffer | undefined
}

/** The destination of a record, held for it. */
interface Held {
  readonly entry: DestinationEntry
}

/**
 * Holds the destinations of all these records.
 *
 * @param heldOf makes what is kept for a record; a record that were kept itself would outlive the
 *   collections of young objects
 * @returns undefined, and none is held, when there are too many destinations
 */
export function holdAll<Kept extends Held>(
  destinations: Destinations,
  records: readonly NewRecord[],
  heldOf: (record: NewRecord, entry: DestinationEntry) => Kept,
): Kept[] | undefined {
  const held: Kept[] = []
  for (const record of records) {
    const entry = destinations.hold(record.destination)
    if (!entry) {
      for (const each of held) destinations.release(each.entry)
      return undefined
    }
    held.push(heldOf(record, entry))
  }
  return held
}

/** The destination of a record, and nothing more. */
export const heldOnly = (_record: NewRecord, entry: DestinationEntry): Held => ({ entry })

interface NewEntryParts {
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly nextSequence: () => number
}

/**
 * Gives records their sequences in the queue, and the messages that they share theirs before them.
 * The entries take over the holds of the destinations. When it throws, nothing is held.
 */
export type NewEntries = (
  records: readonly NewRecord[],
  held: readonly (Held & { readonly place?: Place | undefined })[],
  acceptedAtMs: number,
) => NewEntry[]

export function createNewEntries(parts: NewEntryParts): NewEntries {
  const { destinations, ledger, nextSequence } = parts
  return (records, held, acceptedAtMs) => {
    const entries: NewEntry[] = []
    let share: EncodedShare | undefined
    try {
      for (const [index, { entry: destination, place }] of held.entries()) {
        const record = records[index]
        if (record === undefined) throw new RangeError('A destination is held for no record.')
        // Records that share a message follow each other.
        if (place && share?.share !== place.share) {
          share = encodeShare(place.share, nextSequence(), acceptedAtMs)
        }
        const stored =
          record.encoded === undefined
            ? encodeRecord(record, acceptedAtMs, place && share?.referenceOf(place))
            : acceptedAt(record.encoded, acceptedAtMs)
        const message = place && share?.message
        const sequence = nextSequence()
        const queued = newQueuedRecord(record, { sequence, acceptedAtMs, stored, message })
        const row = ledger.hold(record.ruleName, record.actionIndex)
        entries.push(
          record.failed === undefined
            ? { record: queued, destination, row, move: 'accept' }
            : failedEntry({ record: queued, destination, row }, record.failed),
        )
      }
      return entries
    } catch (thrown) {
      for (const { entry } of held) destinations.release(entry)
      for (const { row } of entries) ledger.release(row)
      throw thrown
    }
  }
}

/** The entry of an action that failed: it is written as a dead letter. */
function failedEntry(
  entry: Pick<NewEntry, 'record' | 'destination' | 'row'>,
  { field, ...reason }: FailedAction,
): NewEntry {
  const { acceptedAtMs, stored } = entry.record
  const deadLetter = encodeDeadLetter({
    destinationId: entry.destination.id,
    attempts: 0,
    firstMs: acceptedAtMs,
    lastMs: acceptedAtMs,
    reason,
    field,
    record: stored,
  })
  return { ...entry, move: 'failToDeadLetters', deadLetter }
}

/** Releases what entries hold: their records are on disk, or never will be. */
export function releaseEntries(
  { destinations, ledger }: Pick<NewEntryParts, 'destinations' | 'ledger'>,
  entries: readonly NewEntry[],
): void {
  for (const { destination, row } of entries) {
    destinations.release(destination)
    ledger.release(row)
  }
}
