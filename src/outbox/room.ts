/**
 * Room in the outbox: who may append now, who waits, and in which order.
 *
 * Each destination has a share of the bytes that the outbox may hold. While it is full, an append
 * that has records for it waits; others do not, unless that would change the order:
 *
 * - Appends to a destination at which one waits already wait behind it.
 * - An append waits behind a waiting one that has a record of the same destination and key.
 *
 * So one full destination holds only the messages that match it, and those of the same keys.
 *
 * Waiting appends stand in lines, one for each destination that was full and one for each key of
 * their others. One may go when it is the first in all its lines and none of its destinations is
 * full. A line is looked at when its first goes, and when a destination gets room.
 */
import { SluiceError } from '../base/errors.ts'
import { countsOf } from './books/destinations.ts'
import type { DestinationEntry } from './books/destinations.ts'

/** Of the bytes of the outbox, what one destination may hold. */
export const destinationShare = 0.25
/** Appends that wait for room; beyond either bound one is refused. */
const waitingAppendsMax = 100_000
const waitingBytesMax = 256 * 1024 * 1024

/** A record as far as its place is concerned. */
export interface Placed {
  readonly entry: DestinationEntry
  readonly partitionKey: string
  /** About what it takes on disk. */
  readonly bytes: number
}

export interface Admission {
  isFull(entry: DestinationEntry): boolean
  /**
   * Calls `admit` when these records may be appended: at once, or later in the order of calls as
   * far as that matters. What is admitted counts until `done`. Calls `refuse` with
   * OutboxWriteFailed instead when too much waits, or when the outbox closes.
   */
  enter(records: readonly Placed[], turn: Turn): void
  /** Whether `enter` would make these records wait. */
  mustWait(records: readonly Placed[]): boolean
  /** Counts records that need no room: those that move within the outbox, or were looked at. */
  pass(records: readonly Placed[]): void
  /** The records of an `enter` or a `pass` are on disk, or never will be. */
  done(records: readonly Placed[]): void
  /** Records were removed. */
  roomMade(entries: Iterable<DestinationEntry>): void
  isWaiting(): boolean
  waiting(): { readonly appends: number; readonly bytes: number }
  close(): void
}

/** Called in the very moment: what comes afterwards must find its place behind. */
interface Turn {
  readonly admit: () => void
  readonly refuse: (error: SluiceError) => void
}

interface Waiting extends Turn {
  readonly records: readonly Placed[]
  readonly bytes: number
  readonly lines: readonly string[]
}

interface AdmissionOptions {
  /** Bytes that all records of the outbox may take. */
  readonly bytesMax: number
  /** What they take now. */
  readonly bytesHeld: () => number
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { isFull, count, outboxHasRoom } = createRoom(options)
  const lines = createLines()
  /** Appends that found a destination full. */
  const held = new Map<DestinationEntry, Set<Waiting>>()
  const all = new Set<Waiting>()
  let waitingBytes = 0

  function wait(records: readonly Placed[], names: ReadonlySet<string>, turn: Turn): void {
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0)
    if (all.size >= waitingAppendsMax || waitingBytes + bytes > waitingBytesMax) {
      turn.refuse(refusal('The outbox is full, and too much waits for room'))
      return
    }
    const waiting = { ...turn, records, bytes, lines: [...names] }
    all.add(waiting)
    waitingBytes += bytes
    lines.join(waiting)
    for (const { entry } of records) if (isFull(entry)) holdFor(entry, waiting)
  }

  function holdFor(entry: DestinationEntry, waiting: Waiting): void {
    const known = held.get(entry)
    if (known) known.add(waiting)
    else held.set(entry, new Set([waiting]))
  }

  function tryAll(candidates: Waiting[]): void {
    for (const waiting of candidates) {
      if (!all.has(waiting) || !lines.isFirst(waiting)) continue
      const full = waiting.records.find(({ entry }) => isFull(entry))
      if (full) {
        holdFor(full.entry, waiting)
        continue
      }
      all.delete(waiting)
      waitingBytes -= waiting.bytes
      candidates.push(...lines.leave(waiting))
      count(waiting.records, 1)
      waiting.admit()
    }
  }

  return {
    isFull,
    mustWait(records: readonly Placed[]) {
      if (all.size === 0 && !records.some(({ entry }) => isFull(entry))) return false
      return linesFor(records, isFull, lines).mustWait
    },
    enter(records: readonly Placed[], turn: Turn) {
      const { names, mustWait } = linesFor(records, isFull, lines)
      if (mustWait) return wait(records, names, turn)
      count(records, 1)
      turn.admit()
    },
    pass: (records: readonly Placed[]) => count(records, 1),
    done: (records: readonly Placed[]) => count(records, -1),
    roomMade(entries: Iterable<DestinationEntry>) {
      if (all.size === 0) return
      // Room in one destination may be room in the outbox, for which those of others wait.
      const touched = outboxHasRoom() ? held.keys() : entries
      for (const entry of Array.from(touched)) {
        if (isFull(entry)) continue
        const candidates = [...(held.get(entry) ?? [])]
        held.delete(entry)
        tryAll(candidates)
      }
    },
    isWaiting: () => all.size > 0,
    waiting: () => ({ appends: all.size, bytes: waitingBytes }),
    close() {
      for (const { refuse } of all) refuse(refusal('The outbox is closed'))
      for (const each of [all, lines, held]) each.clear()
    },
  }
}

/** How much is held, and how much is on its way. */
function createRoom({ bytesMax, bytesHeld }: AdmissionOptions) {
  const shareBytes = bytesMax * destinationShare
  let pendingBytes = 0
  const outboxHasRoom = () => bytesHeld() + pendingBytes < bytesMax
  return {
    outboxHasRoom,
    isFull: (entry: DestinationEntry) =>
      countsOf(entry).bytes + entry.pendingBytes >= shareBytes || !outboxHasRoom(),
    count: (records: readonly Placed[], sign: 1 | -1): void => {
      for (const { entry, bytes } of records) {
        entry.pendingBytes += sign * bytes
        pendingBytes += sign * bytes
      }
    },
  }
}

/** The lines that an append has to stand in; it may go at once unless it must wait in one. */
function linesFor(
  records: readonly Placed[],
  isFull: (entry: DestinationEntry) => boolean,
  lines: Pick<Lines, 'has'>,
): { readonly names: ReadonlySet<string>; readonly mustWait: boolean } {
  const names = new Set<string>()
  let mustWait = false
  for (const { entry, partitionKey } of records) {
    const destinationLine = String(entry.id)
    const keyLine = `${entry.id} ${partitionKey}`
    if (isFull(entry) || lines.has(destinationLine)) {
      names.add(destinationLine)
      mustWait = true
    }
    names.add(keyLine)
    mustWait ||= lines.has(keyLine)
  }
  return { names, mustWait }
}

/** The lines, each in the order of arrival; an empty one is gone. */
interface Lines {
  has(name: string): boolean
  join(waiting: Waiting): void
  isFirst(waiting: Waiting): boolean
  /** Takes an append out of its lines; gives those that may be first now. */
  leave(waiting: Waiting): Waiting[]
  clear(): void
}

function createLines(): Lines {
  const lines = new Map<string, Set<Waiting>>()
  const firstOf = (name: string) => {
    const [first] = lines.get(name) ?? []
    return first
  }
  return {
    has: (name) => lines.has(name),
    join(waiting) {
      for (const name of waiting.lines) {
        const line = lines.get(name)
        if (line) line.add(waiting)
        else lines.set(name, new Set([waiting]))
      }
    },
    isFirst: (waiting) => waiting.lines.every((name) => firstOf(name) === waiting),
    leave(waiting) {
      return waiting.lines.flatMap((name) => {
        const line = lines.get(name)
        line?.delete(waiting)
        if (line?.size === 0) lines.delete(name)
        return firstOf(name) ?? []
      })
    },
    clear: () => lines.clear(),
  }
}

const refusal = (message: string) => new SluiceError('OutboxWriteFailed', message)
