import { SluiceError } from '../../base/errors.ts'
import { addTo, decodeCounters, encodeCounters } from './counters.ts'
import type { CounterRow } from './counters.ts'
import { canonicalText, parseDestination } from '../store/destination.ts'
import type { Destination } from '../store/destination.ts'
import { destinationKey } from '../store/outbox-store.ts'
import type { DestinationRow, RowWrite } from '../store/outbox-store.ts'

/** Templates in stream names could make destinations without end. */
export const destinationsMax = 1_000

/** A destination with its id in the outbox, and counters of what the outbox holds for it. */
export interface DestinationEntry extends CounterRow {
  readonly id: number
  readonly destination: Destination
  readonly json: string
  /** False until a commit has carried its row. */
  isStored: boolean
  /** Bytes of records that were admitted and are on their way to disk. */
  pendingBytes: number
  /** Records that wait for room or are on their way to disk: while there are any, it stays. */
  arriving: number
}

/** What a destination counts, in the order of its counters. Bytes are those on disk. */
export interface DestinationCounts {
  readonly records: number
  readonly bytes: number
  readonly letters: number
  readonly letterBytes: number
}

const counterCount = 4
const noDestinations: ReadonlySet<Destination> = new Set()

/** What the coming or going of a record or dead letter adds to the counters of its destination. */
export const recordsRemoved = (count: number, bytes: number) => [-count, -bytes, 0, 0] as const
export const letterAdded = (bytes: number) => [0, 0, 1, bytes] as const
export const letterRemoved = (bytes: number) => [0, 0, -1, -bytes] as const

export interface DestinationTable {
  /**
   * The entry of a destination, with an id of its own from the first time that it is seen.
   *
   * @throws SluiceError ActionFailed when there are `destinationsMax`, all of them in use
   */
  entryOf(destination: Destination): DestinationEntry
  /** Whether `entryOf` would give an entry, also once it has given those for `beside`. */
  admits(destination: Destination, beside?: ReadonlySet<Destination>): boolean
  entryWithId(id: number): DestinationEntry | undefined
  entries(): readonly DestinationEntry[]
  /** Adds to the counters of an entry as they are now. */
  count(entry: DestinationEntry, delta: readonly number[]): void
  /** Of all destinations, as they are now. */
  total(): DestinationCounts
  /** Ids of destinations that made room for others and may still have rows on disk. */
  evicted(): readonly number[]
  /** Notes that the rows of these ids are on disk, and those of these others are gone. */
  written(stored: readonly number[], removed: readonly number[]): void
}

/** The destinations of the outbox, in memory. An id is not given twice while the outbox is open. */
export function createDestinationTable(
  rows: readonly DestinationRow[],
  counters: readonly RowWrite[],
): DestinationTable {
  const byText = new Map<string, DestinationEntry>()
  const byId = new Map<number, DestinationEntry>()
  // Compiled actions hand in the same object again and again: it spares the text.
  const byObject = new WeakMap<Destination, DestinationEntry>()
  let evicted: number[] = []
  let lastId = 0
  const total = noCounts()

  function add(id: number, destination: Destination, json: string, isStored: boolean) {
    const entry = newEntry(id, destination, json, isStored)
    byText.set(json, entry)
    byId.set(id, entry)
    lastId = Math.max(lastId, id)
    return entry
  }

  for (const { id, json } of rows) add(id, parseDestination(json), json, true)
  for (const { key, value } of counters) {
    const entry = byId.get(key.readUInt32BE(0))
    const numbers = decodeCounters(value, counterCount)
    if (!entry) continue
    addTo(entry.live, numbers)
    addTo(entry.stored, numbers)
    addTo(total, numbers)
  }

  function known(destination: Destination): DestinationEntry | undefined {
    const entry = byObject.get(destination) ?? byText.get(canonicalText(destination))
    // It may have made room for another since this object was last handed in.
    return entry !== undefined && byId.get(entry.id) === entry ? entry : undefined
  }

  function addNew(destination: Destination): DestinationEntry {
    if (byId.size >= destinationsMax) {
      const unused = firstUnused(byId.values())
      if (!unused) throw tooMany(destination)
      byId.delete(unused.id)
      byText.delete(unused.json)
      evicted.push(unused.id)
    }
    const json = canonicalText(destination)
    return add(lastId + 1, parseDestination(json), json, false)
  }

  return Object.freeze({
    entryOf(destination: Destination) {
      const entry = known(destination) ?? addNew(destination)
      byObject.set(destination, entry)
      return entry
    },
    admits(destination: Destination, beside: ReadonlySet<Destination> = noDestinations) {
      if (byId.size + beside.size < destinationsMax || known(destination)) return true
      return roomBeside(byId, Array.from(beside, known)) > 0
    },
    entryWithId: (id: number) => byId.get(id),
    entries: () => [...byId.values()],
    count(entry: DestinationEntry, delta: readonly number[]) {
      addTo(entry.live, delta)
      addTo(total, delta)
    },
    total: () => namedCounts(total),
    evicted: () => evicted,
    written(stored: readonly number[], removed: readonly number[]) {
      for (const id of stored) {
        const entry = byId.get(id)
        if (entry) entry.isStored = true
      }
      if (removed.length > 0) evicted = evicted.filter((id) => !removed.includes(id))
    },
  })
}

function newEntry(
  id: number,
  destination: Destination,
  json: string,
  isStored: boolean,
): DestinationEntry {
  const counters = { live: noCounts(), stored: noCounts() }
  return { id, destination, json, isStored, pendingBytes: 0, arriving: 0, ...counters }
}

export function countsOf({ live }: DestinationEntry): DestinationCounts {
  return namedCounts(live)
}

const noCounts = () => Array.from({ length: counterCount }, () => 0)

function namedCounts(counters: readonly number[]): DestinationCounts {
  const [records = 0, bytes = 0, letters = 0, letterBytes = 0] = counters
  return { records, bytes, letters, letterBytes }
}

/** The counters of a destination on disk once `delta` is added. */
export function destinationWrite(entry: DestinationEntry, delta: readonly number[]): RowWrite {
  return { key: destinationKey(entry.id), value: encodeCounters(entry.stored, delta) }
}

/** The one that is there longest without a record, a dead letter, or anything on its way. */
/** How many new entries there can be once those `beside` are in use; undefined are new ones. */
function roomBeside(
  byId: ReadonlyMap<number, DestinationEntry>,
  beside: readonly (DestinationEntry | undefined)[],
): number {
  const unused = [...byId.values()].filter((entry) => isUnused(entry) && !beside.includes(entry))
  const newCount = beside.filter((entry) => entry === undefined).length
  return destinationsMax - byId.size + unused.length - newCount
}

function firstUnused(entries: Iterable<DestinationEntry>): DestinationEntry | undefined {
  for (const entry of entries) {
    if (isUnused(entry)) return entry
  }
  return undefined
}

function isUnused({ live, stored, arriving }: DestinationEntry): boolean {
  return arriving === 0 && [...live, ...stored].every((count) => count === 0)
}

function tooMany({ streamName }: Destination): SluiceError {
  return new SluiceError(
    'ActionFailed',
    `Records wait for ${destinationsMax} destinations already: none is left for stream ${streamName}`,
  )
}
