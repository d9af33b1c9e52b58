/** The ways in which dead letters leave: deleted, replayed as they were, or replayed by rule. */
import type { Destinations } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import { deadLetterOf, withoutDestination } from './dead-letter.ts'
import type { ReplayByRule } from './dead-letter.ts'
import { heldOnly, holdAll, releaseEntries } from './new-entry.ts'
import type { NewEntries, NewEntry } from './new-entry.ts'
import type { RemovedDeadLetter } from './outbox-commits.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import type { StoredDeadLetter } from './store/outbox-store.ts'
import { queuedRecord } from './store/queued-record.ts'
import type { NewRecord } from './store/queued-record.ts'
import { acceptedAgain, decodeRecord } from './store/record-codec.ts'
import { noDestinationId } from './store/record-key.ts'

export interface MoveParts {
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly newEntries: NewEntries
  readonly nextSequence: () => number
}

interface MovedDeadLetter {
  readonly deadLetter: RemovedDeadLetter
  readonly entries: readonly NewEntry[]
}

type Mover = (stored: StoredDeadLetter, acceptedAtMs: number) => MovedDeadLetter | undefined
/** Does all asynchronous work before anything is moved. */
export type MoverFor = (chunk: readonly StoredDeadLetter[]) => Promise<Mover>

/** The moves of a part. When one throws, nothing is held. */
export function movedOf(
  parts: MoveParts,
  chunk: readonly StoredDeadLetter[],
  move: (stored: StoredDeadLetter) => MovedDeadLetter | undefined,
) {
  const deadLetters: RemovedDeadLetter[] = []
  const entries: NewEntry[] = []
  try {
    for (const stored of chunk) {
      const moved = move(stored)
      if (!moved) continue
      deadLetters.push(moved.deadLetter)
      entries.push(...moved.entries)
    }
    return { deadLetters, entries }
  } catch (thrown) {
    releaseEntries(parts, entries)
    throw thrown
  }
}

export function dropped(parts: MoveParts): MoverFor {
  return async () => (stored) => {
    return { deadLetter: removedDeadLetter(parts, stored, 'dropDeadLetter'), entries: [] }
  }
}

/**
 * The same bytes for the same destination, with a new sequence and time: its age starts anew. An
 * action that failed made no record, so its dead letter is kept.
 */
export function asItWas(parts: MoveParts): MoverFor {
  const { destinations, ledger, nextSequence } = parts
  return async () => (stored, acceptedAtMs) => {
    const deadLetter = removedDeadLetter(parts, stored, 'replay')
    const value = acceptedAgain(decodeDeadLetter(stored.value).record, acceptedAtMs)
    const { destination, row } = deadLetter
    if (destination.id === noDestinationId) return undefined
    const record = queuedRecord(nextSequence(), value)
    destinations.holdAgain(destination)
    ledger.holdAgain(row)
    return { deadLetter, entries: [{ record, destination, row, move: 'replay' as const }] }
  }
}

/** The first record of the dead letter's own action counts as its replay; others count as new. */
export function byRule(parts: MoveParts, replay: ReplayByRule): MoverFor {
  return async (chunk) => {
    const made = new Map<number, readonly NewRecord[]>()
    for (const stored of chunk) {
      const records = await replay(deadLetterOf(parts.destinations, stored))
      if (records !== undefined) made.set(stored.id, records)
    }
    return (stored, acceptedAtMs) => {
      const records = made.get(stored.id)
      return records && replacedBy(parts, stored, records, acceptedAtMs)
    }
  }
}

function replacedBy(
  parts: MoveParts,
  stored: StoredDeadLetter,
  records: readonly NewRecord[],
  acceptedAtMs: number,
): MovedDeadLetter | undefined {
  const { row } = removedDeadLetter(parts, stored, 'replay')
  const held = holdAll(parts.destinations, records, heldOnly)
  if (!held) return undefined
  let replaced = false
  const entries = parts.newEntries(records, held, acceptedAtMs).map((entry) => {
    if (replaced || entry.row !== row || entry.move !== 'accept') return entry
    replaced = true
    return { ...entry, move: 'replay' as const }
  })
  return {
    deadLetter: removedDeadLetter(parts, stored, replaced ? 'replay' : 'replayAsOther'),
    entries,
  }
}

function removedDeadLetter(
  { destinations, ledger }: MoveParts,
  { id, value }: StoredDeadLetter,
  move: RemovedDeadLetter['move'],
): RemovedDeadLetter {
  const { destinationId, record } = decodeDeadLetter(value)
  const { ruleName, actionIndex } = decodeRecord(record)
  const destination = destinations.entryWithId(destinationId)
  if (!destination) throw withoutDestination(id)
  return { id, destination, row: ledger.rowOf(ruleName, actionIndex), bytes: value.length, move }
}
