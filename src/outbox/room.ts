/**
 * Room in the outbox: which appends may go now, which wait, and in which order.
 *
 * Each destination has a share of the bytes that the outbox may hold. While the share is full, an
 * append that has records for the destination waits; other appends do not, unless that would change
 * the order:
 *
 * - Appends to a destination for which another append waits already wait behind that one.
 * - An append waits behind a waiting one that has a record of the same destination and key.
 *
 * So one full destination holds only the messages that match it, and those of the same keys.
 *
 * Waiting appends stand in lines: one line for each destination that was full, and one for each key
 * of their other records. An append may go when it is the first in all its lines and none of its
 * destinations is full. A line is looked at when its first append goes, and when its destination
 * gets room.
 */
import { SluiceError } from '../base/errors.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import { createArrivalLine } from './arrival-line.ts'
import type { ArrivalLine } from './arrival-line.ts'
import { bytesOf } from './books/destinations.ts'
import type { DestinationEntry } from './books/destinations.ts'

/** The share of the outbox's bytes that one destination may hold. */
export const destinationShare = 0.25
/**
 * What waits for room: an append beyond this bound is refused. The ingress holds the messages of
 * appends that wait and lets through 128 MiB at a time: half of that is left to other messages.
 */
const waitingBytesMax = 64 * 1024 * 1024
/** What an append counts for beside its records, which the ingress counts for its message, too. */
const waitingOverheadBytes = 2 * 1024

/** The room that one record takes while it is on its way to disk. */
export interface Reservation {
  readonly entry: DestinationEntry
  readonly partitionKey: string
  /** Roughly what the record takes on disk. */
  readonly bytes: number
  /** What the destination counts beside it: a message that the record shares, see append.ts. */
  readonly messageBytes?: number | undefined
}

export interface Room {
  /**
   * Calls `admit` when these records may be appended: at once, or later, in the order of calls as
   * far as that order matters. Admitted records count until `released`. Calls `refuse` with
   * OutboxFull instead when too much waits, or OutboxWriteFailed when the outbox closes.
   *
   * @returns a function that ends the waiting, if it lasts still, with `refuse` and SenderGone
   */
  enter(reservations: readonly Reservation[], turn: Turn): Leave
  /** Whether `enter` would make these records wait. */
  mustWait(reservations: readonly Reservation[]): boolean
  /**
   * Counts records without asking whether there is room: records that move within the outbox, or
   * for which `mustWait` was false.
   */
  reserve(reservations: readonly Reservation[]): void
  /**
   * Ends what `enter` or `reserve` began: the records are on disk, or never will be. Appends that
   * wait may go then.
   */
  released(reservations: readonly Reservation[]): void
  /** Records of these destinations were removed. Appends that wait may go then. */
  roomMade(entries: Iterable<DestinationEntry>): void
  /** Whether an append waits, or any append would have to. */
  readonly isFull: () => boolean
  close(): void
}

type Leave = () => void

/** Called synchronously: an append that comes afterwards must find this one ahead of it. */
interface Turn {
  readonly admit: () => void
  readonly refuse: (error: SluiceError) => void
}

interface Waiting extends Turn {
  readonly records: readonly Reservation[]
  readonly bytes: number
  readonly lines: readonly string[]
}

interface RoomDependencies {
  readonly metrics: Pick<Metrics, 'outboxAppendsWaiting'>
  /** Bytes that the records of the outbox take on disk now. */
  readonly bytesHeld: () => number
}

/** @param options.bytesMax bytes that all records of the outbox may take on disk */
export function createRoom(
  dependencies: RoomDependencies,
  options: { readonly bytesMax: number },
): Room {
  const { isFull, count, outboxHasRoom } = createAmounts(dependencies, options)
  const lines = createLines()
  const waitingAppends = createWaitingAppends(dependencies)
  const held = createHeldAppends()

  function wait(records: readonly Reservation[], names: ReadonlySet<string>, turn: Turn): Leave {
    const waiting = { ...turn, records, bytes: waitingBytesOf(records), lines: [...names] }
    if (!waitingAppends.tryAdd(waiting)) {
      turn.refuse(new SluiceError('OutboxFull', 'Too much waits for room in the outbox'))
      return nothing
    }
    lines.join(waiting)
    for (const { entry } of records) if (isFull(entry)) held.add(entry, waiting)
    return () => leave(waiting)
  }

  // The appends of one sender leave together, and those behind them go afterwards: a later one of
  // a key must not go where an earlier one has left.
  function leave(waiting: Waiting): void {
    if (!waitingAppends.remove(waiting)) return
    held.remove(waiting)
    waiting.refuse(new SluiceError('SenderGone', 'Nobody waits for the answer any more'))
    queueMicrotask(() => tryAll(lines.remove(waiting)))
  }

  function tryAll(candidates: Waiting[]): void {
    for (const waiting of candidates) {
      if (!waitingAppends.has(waiting) || !lines.isFirst(waiting)) continue
      const full = waiting.records.find(({ entry }) => isFull(entry))
      if (full) {
        held.add(full.entry, waiting)
        continue
      }
      waitingAppends.remove(waiting)
      candidates.push(...lines.remove(waiting))
      count(waiting.records, 1)
      waiting.admit()
    }
  }

  function roomMade(entries: Iterable<DestinationEntry>): void {
    if (waitingAppends.isEmpty()) return
    // Room in one destination may be room in the outbox, for which appends to others wait.
    const touched = outboxHasRoom() ? held.destinations() : entries
    for (const entry of Array.from(touched)) {
      if (!isFull(entry)) tryAll(held.takeFor(entry))
    }
  }

  return {
    mustWait(reservations) {
      if (waitingAppends.isEmpty() && !reservations.some(({ entry }) => isFull(entry))) return false
      return linesFor(reservations, isFull, lines).mustWait
    },
    enter(reservations, turn) {
      const { names, mustWait } = linesFor(reservations, isFull, lines)
      if (mustWait) return wait(reservations, names, turn)
      count(reservations, 1)
      turn.admit()
      return nothing
    },
    reserve: (reservations) => count(reservations, 1),
    released(reservations) {
      count(reservations, -1)
      if (!waitingAppends.isEmpty()) roomMade(reservations.map(({ entry }) => entry))
    },
    roomMade,
    isFull: () => !waitingAppends.isEmpty() || !outboxHasRoom(),
    close() {
      for (const { refuse } of waitingAppends.takeAll()) refuse(closed())
      for (const each of [lines, held]) each.clear()
    },
  }
}

/** The waiting appends that found a destination full, by that destination. */
function createHeldAppends() {
  const held = new Map<DestinationEntry, Set<Waiting>>()
  return {
    destinations: () => held.keys(),
    add(entry: DestinationEntry, waiting: Waiting): void {
      const known = held.get(entry)
      if (known) known.add(waiting)
      else held.set(entry, new Set([waiting]))
    },
    remove(waiting: Waiting): void {
      for (const { entry } of waiting.records) {
        const known = held.get(entry)
        known?.delete(waiting)
        if (known?.size === 0) held.delete(entry)
      }
    },
    takeFor(entry: DestinationEntry): Waiting[] {
      const taken = [...(held.get(entry) ?? [])]
      held.delete(entry)
      return taken
    },
    clear: () => held.clear(),
  }
}

/** All appends that wait, within their bounds. The gauge always shows their number. */
function createWaitingAppends({ metrics }: RoomDependencies) {
  const all = new Set<Waiting>()
  let waitingBytes = 0

  function count(bytes: number): void {
    waitingBytes += bytes
    metrics.outboxAppendsWaiting.set(all.size)
  }

  return {
    isEmpty: () => all.size === 0,
    has: (waiting: Waiting) => all.has(waiting),
    /** Returns false when too much waits already. */
    tryAdd(waiting: Waiting): boolean {
      const { bytes } = waiting
      if (waitingBytes + bytes > waitingBytesMax) return false
      all.add(waiting)
      count(bytes)
      return true
    },
    /** Returns false when it does not wait. */
    remove(waiting: Waiting): boolean {
      const waited = all.delete(waiting)
      if (waited) count(-waiting.bytes)
      return waited
    },
    takeAll(): readonly Waiting[] {
      const taken = [...all]
      all.clear()
      count(-waitingBytes)
      return taken
    },
  }
}

/** How many bytes are held on disk, and how many are on their way there. */
function createAmounts({ bytesHeld }: RoomDependencies, { bytesMax }: { bytesMax: number }) {
  const shareBytes = bytesMax * destinationShare
  let pendingBytes = 0
  const outboxHasRoom = () => bytesHeld() + pendingBytes < bytesMax
  return {
    outboxHasRoom,
    isFull: (entry: DestinationEntry) =>
      bytesOf(entry) + entry.pendingBytes >= shareBytes || !outboxHasRoom(),
    count: (records: readonly Reservation[], sign: 1 | -1): void => {
      for (const { entry, bytes, messageBytes = 0 } of records) {
        entry.pendingBytes += sign * (bytes + messageBytes)
        pendingBytes += sign * bytes
      }
    },
  }
}

/** The lines that an append has to stand in, and whether it must wait in one of them. */
function linesFor(
  records: readonly Reservation[],
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

/** The lines, each in the order of arrival. A line that becomes empty is removed. */
interface Lines {
  has(name: string): boolean
  join(waiting: Waiting): void
  isFirst(waiting: Waiting): boolean
  /** Takes an append out of its lines; returns the appends that may be first now. */
  remove(waiting: Waiting): Waiting[]
  clear(): void
}

function createLines(): Lines {
  const lines = new Map<string, ArrivalLine<Waiting>>()
  const firstOf = (name: string) => lines.get(name)?.first()
  return {
    has: (name) => lines.has(name),
    join(waiting) {
      for (const name of waiting.lines) {
        const line = lines.get(name) ?? createArrivalLine()
        line.add(waiting)
        lines.set(name, line)
      }
    },
    isFirst: (waiting) => waiting.lines.every((name) => firstOf(name) === waiting),
    remove(waiting) {
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

const nothing = (): void => undefined
const waitingBytesOf = (records: readonly Reservation[]): number =>
  records.reduce((sum, { bytes }) => sum + bytes, waitingOverheadBytes)
const closed = () => new SluiceError('OutboxWriteFailed', 'The outbox is closed')
