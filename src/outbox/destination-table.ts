import { canonicalText, parseDestination } from './destination.ts'
import type { Destination } from './destination.ts'
import type { DestinationRow } from './outbox-store.ts'

/** A destination with its id in the outbox and what waits for it. */
export interface DestinationEntry {
  readonly id: number
  readonly destination: Destination
  readonly json: string
  /** False until a commit has carried its row. */
  stored: boolean
  /** Durable records that are not settled, and their bytes of data and partition key. */
  records: number
  bytes: number
}

export interface DestinationTable {
  /** The entry of a destination, with an id of its own from the first time that it is seen. */
  entryOf(destination: Destination): DestinationEntry
  entryWithId(id: number): DestinationEntry | undefined
  entries(): readonly DestinationEntry[]
  /** Notes that the rows of these ids are on disk. */
  markStored(ids: readonly number[]): void
}

/**
 * The destinations of the outbox, in memory. Ids are never given twice.
 */
export function createDestinationTable(rows: readonly DestinationRow[]): DestinationTable {
  const byText = new Map<string, DestinationEntry>()
  const byId = new Map<number, DestinationEntry>()
  // Compiled actions hand in the same object again and again: it spares the text.
  const byObject = new WeakMap<Destination, DestinationEntry>()
  let lastId = 0

  function add(id: number, destination: Destination, json: string, stored: boolean) {
    const entry: DestinationEntry = { id, destination, json, stored, records: 0, bytes: 0 }
    byText.set(json, entry)
    byId.set(id, entry)
    lastId = Math.max(lastId, id)
    return entry
  }

  for (const { id, json } of rows) add(id, parseDestination(json), json, true)

  return Object.freeze({
    entryOf(destination: Destination) {
      const known = byObject.get(destination) ?? byText.get(canonicalText(destination))
      const entry = known ?? addNew(destination)
      byObject.set(destination, entry)
      return entry
    },
    entryWithId: (id: number) => byId.get(id),
    entries: () => [...byId.values()],
    markStored(ids: readonly number[]) {
      for (const id of ids) {
        const entry = byId.get(id)
        if (entry) entry.stored = true
      }
    },
  })

  function addNew(destination: Destination): DestinationEntry {
    const json = canonicalText(destination)
    return add(lastId + 1, parseDestination(json), json, false)
  }
}
