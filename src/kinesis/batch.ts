/**
 * Which records go in the next call. No I/O, no clock: the same steps give the same calls.
 *
 * The records of one partition key form a lane. A lane is ready, in flight, or paused:
 *
 *     ready --take--> in flight --release, all delivered--> ready, or gone when empty
 *       ^                 '-------release, some failed----> paused --its time has come--.
 *       '------------------------------------------------------------------------------'
 *
 * Invariants, from which the order of a key follows:
 * - Records of a lane are taken from its head only, and a failed record returns to the head.
 * - A lane in flight is never taken again: calls of one key do not overlap.
 * - A paused lane holds all its records back: nothing later of the key passes a failed record.
 *
 * So the one inversion possible is among the records of a key in one call that failed in part,
 * for which PutRecords itself promises no order. Lanes take turns, first ready, first served.
 */
import type { QueuedRecord } from '../outbox/outbox.ts'

/** PutRecords takes so many records [Kinesis API Reference, PutRecords]. */
export const callRecordsMax = 500
/** The size of a call that every region and stream takes, partition keys counted. */
export const callBytesMax = 5 * 1024 * 1024

export interface CallLimits {
  readonly recordsMax: number
  /** The first record goes even if it is larger. */
  readonly bytesMax: number
}

/** A record on its way, with what happened to it so far. */
export interface Outgoing {
  readonly record: QueuedRecord
  /** Failures in a row that were its own. */
  readonly attempts: number
  /** To be sent in a call of its own: one of its former call spoilt that call. */
  readonly alone: boolean
}

/** What returns of a call: to be sent again, not before `dueMs`. */
export interface Returned extends Outgoing {
  readonly dueMs: number
}

export interface SendQueue {
  add(records: readonly QueuedRecord[]): void
  /** Puts a record that was refused before at the head of its key, to go in a call of its own. */
  addAlone(record: QueuedRecord, attempts: number): void
  /** The records of the next call, now in flight; none when nothing may go at `nowMs`. */
  take(nowMs: number, limits: CallLimits): readonly Outgoing[]
  /** Ends a call: `returned` are those of `taken` to send again; the others leave the queue. */
  release(taken: readonly Outgoing[], returned: readonly Returned[]): void
  /** When the next paused lane may go. */
  nextDueMs(): number | undefined
  /** All that is in the queue, in flight or not. */
  size(): { readonly records: number; readonly bytes: number }
}

interface Lane {
  readonly partitionKey: string
  waiting: Outgoing[]
}

export function createSendQueue(): SendQueue {
  const lanes = new Map<string, Lane>()
  const ready = new Set<Lane>()
  /** By the time at which they may go: a call's failures share few times, so this stays small. */
  const paused = new Map<number, Lane[]>()
  const held = { records: 0, bytes: 0 }

  function wakeDue(nowMs: number): void {
    for (const [dueMs, due] of paused) {
      if (dueMs > nowMs) continue
      paused.delete(dueMs)
      for (const lane of due) ready.add(lane)
    }
  }

  function laneOf(partitionKey: string): Lane {
    const known = lanes.get(partitionKey)
    if (known) return known
    const lane: Lane = { partitionKey, waiting: [] }
    lanes.set(partitionKey, lane)
    ready.add(lane)
    return lane
  }

  function settleLane(lane: Lane, returned: readonly Returned[]): void {
    lane.waiting = [...returned, ...lane.waiting]
    if (lane.waiting.length === 0) {
      lanes.delete(lane.partitionKey)
      return
    }
    const dueMs = Math.max(0, ...returned.map((outgoing) => outgoing.dueMs))
    if (dueMs === 0) ready.add(lane)
    else listIn(paused, dueMs).push(lane)
  }

  function hold(record: QueuedRecord): Lane {
    held.records += 1
    held.bytes += record.bytes
    return laneOf(record.partitionKey)
  }

  return Object.freeze({
    add(records: readonly QueuedRecord[]) {
      for (const record of records) hold(record).waiting.push({ record, attempts: 0, alone: false })
    },
    addAlone(record: QueuedRecord, attempts: number) {
      hold(record).waiting.unshift({ record, attempts, alone: true })
    },
    take(nowMs: number, limits: CallLimits) {
      wakeDue(nowMs)
      return takeFromLanes(ready, limits)
    },
    release(taken: readonly Outgoing[], returned: readonly Returned[]) {
      const returnedByKey = new Map<string, Returned[]>()
      for (const outgoing of returned) {
        listIn(returnedByKey, outgoing.record.partitionKey).push(outgoing)
      }
      for (const key of new Set(taken.map(({ record }) => record.partitionKey))) {
        settleLane(laneOf(key), returnedByKey.get(key) ?? [])
      }
      held.records += returned.length - taken.length
      held.bytes += bytesOf(returned) - bytesOf(taken)
    },
    nextDueMs: () => (paused.size === 0 ? undefined : Math.min(...paused.keys())),
    size: () => ({ ...held }),
  })
}

/** Moves what fits in one call from the heads of ready lanes into flight. */
function takeFromLanes(ready: Set<Lane>, limits: CallLimits): readonly Outgoing[] {
  const taken: Outgoing[] = []
  let roomBytes = limits.bytesMax
  for (const lane of ready) {
    const [head] = lane.waiting
    if (head?.alone === true && taken.length > 0) continue
    const count = countThatFits(lane.waiting, limits.recordsMax - taken.length, roomBytes)
    const taking = lane.waiting.splice(0, taken.length === 0 ? Math.max(1, count) : count)
    if (taking.length === 0) break
    ready.delete(lane)
    taken.push(...taking)
    roomBytes -= bytesOf(taking)
    if (head?.alone === true || taken.length >= limits.recordsMax) break
  }
  return taken
}

/** How many records of a lane fit; one at most when the first is to go alone. */
function countThatFits(waiting: readonly Outgoing[], recordsMax: number, bytesMax: number): number {
  let bytes = 0
  for (const [index, { record, alone }] of waiting.entries()) {
    bytes += record.bytes
    if (index >= recordsMax || bytes > bytesMax) return index
    if (alone) return Math.max(1, index)
  }
  return waiting.length
}

function bytesOf(outgoing: readonly Outgoing[]): number {
  return outgoing.reduce((sum, { record }) => sum + record.bytes, 0)
}

function listIn<Key, Item>(lists: Map<Key, Item[]>, key: Key): Item[] {
  const known = lists.get(key)
  if (known) return known
  const list: Item[] = []
  lists.set(key, list)
  return list
}
