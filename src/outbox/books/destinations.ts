import { addTo, decodeCounters, encodeCounters } from './counters.ts'
import type { CounterRow } from './counters.ts'
import { deepFreeze } from '../../base/deep-freeze.ts'
import { canonicalText, deliveryDefaults, parseDestination } from '../store/destination.ts'
import type { Destination } from '../store/destination.ts'
import { destinationKey } from '../store/outbox-store.ts'
import type { DestinationRow, RowWrite } from '../store/outbox-store.ts'
import { noDestinationId } from '../store/record-key.ts'

/** Templates in stream names could make any number of destinations. */
export const destinationsMaxDefault = 1_000

/** A destination with its id in the outbox, and counters of what the outbox holds for it. */
export interface DestinationEntry extends CounterRow {
  readonly id: number
  readonly destination: Destination
  readonly json: string
  /** False until a commit has carried its row. */
  isStored: boolean
  /** Bytes of records that are on their way to disk. */
  pendingBytes: number
  /** Bytes on disk of the messages that its records share: see shared-messages.ts. */
  messageBytes: number
  /** Records that wait for room or are on their way to disk: see `Destinations.hold`. */
  holds: number
}

/**
 * What a destination counts, in the order of its counters. Bytes are those on disk, without those
 * of messages that records share: the destination 0 counts these.
 */
interface DestinationCounts {
  readonly records: number
  readonly bytes: number
  readonly deadLetters: number
  readonly deadLetterBytes: number
}

/**
 * Stands for the destination of an action that failed. Its entry, with the id 0, has dead letters
 * and the messages that records share, but no records. It is always there, beside the destinations,
 * and takes no place of theirs.
 */
export const noDestination: Destination = deepFreeze({
  kind: 'kinesis',
  region: '',
  streamName: '',
  credentials: { kind: 'process' },
  settings: deliveryDefaults,
})

const counterCount = 4
/** Of the bytes among the counters. */
const bytesIndex = 1
const noDestinations: ReadonlySet<Destination> = new Set()

/** What a change of records or dead letters adds to the counters of their destination. */
export const messageAdded = (bytes: number) => [0, bytes, 0, 0] as const
export const messageRemoved = (bytes: number) => [0, -bytes, 0, 0] as const
export const recordsRemoved = (count: number, bytes: number) => [-count, -bytes, 0, 0] as const
export const deadLetterAdded = (bytes: number) => [0, 0, 1, bytes] as const
export const deadLetterRemoved = (bytes: number) => [0, 0, -1, -bytes] as const

/**
 * An entry is in use while the outbox has records or dead letters of it, and while it is held. Any
 * call of `hold` may forget an entry that is not in use, to make room for another destination: code
 * that writes a record holds the entry until the record is on disk.
 */
export interface Destinations {
  /**
   * The entry of a destination. A destination gets an id of its own when it is first seen. Each
   * call is a hold, and a `release` ends it.
   *
   * @returns undefined when there are `destinationsMax` others, all in use
   */
  hold(destination: Destination): DestinationEntry | undefined
  /** A further hold of an entry that is in use. */
  holdAgain(entry: DestinationEntry): void
  release(entry: DestinationEntry): void
  /** Whether `hold` would return an entry after it has returned those of `beside`. */
  admits(destination: Destination, beside?: ReadonlySet<Destination>): boolean
  /** The entry of `noDestination` for its id. */
  entryWithId(id: number): DestinationEntry | undefined
  /** The entry of `noDestination`. */
  ofNone(): DestinationEntry
  /** All but that of `noDestination`. */
  entries(): readonly DestinationEntry[]
  /** Adds to the counters of an entry as they are now. */
  count(entry: DestinationEntry, delta: readonly number[]): void
  /** Of all destinations, as they are now. */
  total(): DestinationCounts
  /** The bytes of `total`: no object is made for them. */
  readonly totalBytes: () => number
  /** Ids of destinations that were forgotten and may still have rows on disk. */
  evicted(): readonly number[]
  /** Notes that the rows of `stored` are on disk now, and those of `removed` no longer are. */
  written(stored: readonly number[], removed: readonly number[]): void
}

/** The destinations of the outbox, in memory. An id is not given twice while the outbox is open. */
export function createDestinations(
  rows: readonly DestinationRow[],
  counters: readonly RowWrite[],
  destinationsMax = destinationsMaxDefault,
): Destinations {
  const index = createIndex(destinationsMax)
  const { byId, known } = index
  const total = noCounts()
  const ofNone = newEntry(noDestinationId, noDestination, '', true)
  const entryWithId = (id: number) => (id === noDestinationId ? ofNone : byId.get(id))

  for (const { id, json } of rows) index.add(id, json, true)
  for (const { key, value } of counters) {
    const id = key.readUInt32BE(0)
    // Records that lost their destination must not be delivered to the next one: its id stays
    // taken.
    index.idIsTaken(id)
    const entry = entryWithId(id)
    if (!entry) continue
    const numbers = decodeCounters(value, counterCount)
    for (const target of [entry.live, entry.stored, total]) addTo(target, numbers)
  }

  return {
    hold(destination: Destination) {
      const entry =
        destination === noDestination ? ofNone : (known(destination) ?? index.addNew(destination))
      if (entry) entry.holds += 1
      return entry
    },
    holdAgain(entry: DestinationEntry) {
      entry.holds += 1
    },
    release(entry: DestinationEntry) {
      entry.holds -= 1
    },
    admits(destination: Destination, beside: ReadonlySet<Destination> = noDestinations) {
      if (byId.size + beside.size < destinationsMax) return true
      const entry = known(destination)
      // An entry that is not in use may be forgotten to make room for those of `beside`.
      if (entry && (beside.size === 0 || !isUnused(entry))) return true
      const texts = [destination, ...beside].map((one) => known(one)?.json ?? canonicalText(one))
      return usedWith(byId.values(), texts) <= destinationsMax
    },
    entryWithId,
    ofNone: () => ofNone,
    entries: () => [...byId.values()],
    count(entry: DestinationEntry, delta: readonly number[]) {
      addTo(entry.live, delta)
      addTo(total, delta)
    },
    total: () => namedCounts(total),
    totalBytes: () => total[bytesIndex] ?? 0,
    evicted: index.evicted,
    written(stored: readonly number[], removed: readonly number[]) {
      for (const id of stored) {
        const entry = byId.get(id)
        if (entry) entry.isStored = true
      }
      index.evictedRemoved(removed)
    },
  }
}

/** The entries by id and by destination, and the ids of forgotten ones. */
function createIndex(destinationsMax: number) {
  const byText = new Map<string, DestinationEntry>()
  const byId = new Map<number, DestinationEntry>()
  // Compiled actions pass the same object again and again: looking it up here avoids the text.
  const byObject = new WeakMap<Destination, DestinationEntry>()
  let evicted: number[] = []
  let lastId = 0

  function idIsTaken(id: number): void {
    lastId = Math.max(lastId, id)
  }

  function add(id: number, json: string, isStored: boolean): DestinationEntry {
    const entry = newEntry(id, parseDestination(json), json, isStored)
    byText.set(json, entry)
    byId.set(id, entry)
    idIsTaken(id)
    return entry
  }

  function known(destination: Destination): DestinationEntry | undefined {
    const last = byObject.get(destination)
    // The entry may have been forgotten since this object was last passed.
    if (last && byId.get(last.id) === last) return last
    const entry = byText.get(canonicalText(destination))
    if (entry) byObject.set(destination, entry)
    return entry
  }

  return {
    byId,
    add,
    idIsTaken,
    known,
    addNew(destination: Destination): DestinationEntry | undefined {
      while (byId.size >= destinationsMax) {
        const unused = firstUnused(byId.values())
        if (!unused) return undefined
        byId.delete(unused.id)
        byText.delete(unused.json)
        evicted.push(unused.id)
      }
      const entry = add(lastId + 1, canonicalText(destination), false)
      byObject.set(destination, entry)
      return entry
    },
    evicted: () => evicted,
    evictedRemoved(ids: readonly number[]): void {
      if (ids.length > 0) evicted = evicted.filter((id) => !ids.includes(id))
    },
  }
}

function newEntry(
  id: number,
  destination: Destination,
  json: string,
  isStored: boolean,
): DestinationEntry {
  const counters = { live: noCounts(), stored: noCounts() }
  return {
    id,
    destination,
    json,
    isStored,
    pendingBytes: 0,
    messageBytes: 0,
    holds: 0,
    ...counters,
  }
}

/** The bytes of `countsOf`, for the path of each message: no object is made for them. */
export function bytesOf({ live, messageBytes }: DestinationEntry): number {
  return (live[bytesIndex] ?? 0) + messageBytes
}

/** With the messages that its records share, which other destinations may count as well. */
export function countsOf({ live, messageBytes }: DestinationEntry): DestinationCounts {
  const counts = namedCounts(live)
  return messageBytes === 0 ? counts : { ...counts, bytes: counts.bytes + messageBytes }
}

const noCounts = () => Array.from({ length: counterCount }, () => 0)

function namedCounts(counters: readonly number[]): DestinationCounts {
  const [records = 0, bytes = 0, deadLetters = 0, deadLetterBytes = 0] = counters
  return { records, bytes, deadLetters, deadLetterBytes }
}

/** The row of a destination's counters on disk after `delta` is added. */
export function destinationWrite(entry: DestinationEntry, delta: readonly number[]): RowWrite {
  return { key: destinationKey(entry.id), value: encodeCounters(entry.stored, delta) }
}

/** How many destinations are in use when those of these texts are in use as well. */
function usedWith(entries: Iterable<DestinationEntry>, texts: readonly string[]): number {
  const used = new Set(texts)
  for (const entry of entries) if (!isUnused(entry)) used.add(entry.json)
  return used.size
}

/** The oldest entry that is not in use. */
function firstUnused(entries: Iterable<DestinationEntry>): DestinationEntry | undefined {
  for (const entry of entries) {
    if (isUnused(entry)) return entry
  }
  return undefined
}

function isUnused({ live, stored, holds }: DestinationEntry): boolean {
  return holds === 0 && live.every(isZero) && stored.every(isZero)
}

const isZero = (count: number) => count === 0
