/**
 * Which records go in the next call. No I/O, no clock: the same steps give the same calls.
 *
 * With the orders `key` and `strict` the records of one partition key form a lane. A lane is ready,
 * in flight, or paused:
 *
 *     ready --take--> in flight --release, all delivered--> ready, or gone when empty
 *       ^                 '-------release, some failed----> paused --its time has come--.
 *       '------------------------------------------------------------------------------'
 *
 * Invariants, from which the order of a key follows:
 * - Records of a lane are taken from its head only, and a failed record returns to the head.
 * - A lane in flight is never taken again: calls of one key do not overlap.
 * - A paused lane holds all its records back: nothing later of the key passes a failed record.
 * - With `strict` a call takes one record of a lane.
 *
 * So with `key` the one inversion possible is among the records of a key in one call that failed in
 * part, for which PutRecords itself promises no order; with `strict` there is none. Lanes take
 * turns, first ready, first served.
 *
 * With the order `none` there are no lanes, see unordered-queue.ts.
 */
import type { Ordering, QueuedRecord } from '../outbox/outbox.ts'
import {
  countThatFits,
  listIn,
  memoryBytesOf,
  memoryBytesOfRecord,
  newOutgoing,
  payloadBytesOf,
} from './outgoing.ts'
import type { Outgoing, Returned } from './outgoing.ts'
import type { CallLimits, SendQueue } from './send-queue.ts'
import { createUnorderedQueue } from './unordered-queue.ts'

/** A queue that keeps what an order promises. */
export function createSendQueue(ordering: Ordering): SendQueue {
  if (ordering === 'none') return createUnorderedQueue()
  return createLaneQueue(ordering === 'strict' ? 1 : Infinity)
}

interface Lane {
  readonly partitionKey: string
  waiting: Outgoing[]
  /** Of data and keys of those that wait. */
  bytes: number
}

/** @param perLaneMax records of a lane in one call */
function createLaneQueue(perLaneMax: number): SendQueue {
  const lanes = new Map<string, Lane>()
  const ready = createReadyLanes(perLaneMax)
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

  function settleLane(lane: Lane, returned: readonly Returned[]): void {
    putFirst(lane, returned)
    if (lane.waiting.length === 0) {
      lanes.delete(lane.partitionKey)
      return
    }
    const dueMs = Math.max(0, ...returned.map((outgoing) => outgoing.dueMs))
    if (dueMs === 0) ready.add(lane)
    else listIn(paused, dueMs).push(lane)
  }

  function laneOf(partitionKey: string): Lane {
    const known = lanes.get(partitionKey)
    if (known) return known
    const lane: Lane = { partitionKey, waiting: [], bytes: 0 }
    lanes.set(partitionKey, lane)
    ready.add(lane)
    return lane
  }

  return Object.freeze({
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        held.records += 1
        held.bytes += memoryBytesOfRecord(record)
        const lane = laneOf(record.partitionKey)
        putLast(lane, record)
        ready.grown(lane, record.bytes)
      }
    },
    take(nowMs: number, limits: CallLimits) {
      wakeDue(nowMs)
      return ready.take(limits)
    },
    release(taken: readonly Outgoing[], returned: readonly Returned[]) {
      const returnedByKey = new Map<string, Returned[]>()
      for (const each of returned) listIn(returnedByKey, each.record.partitionKey).push(each)
      for (const key of new Set(taken.map(({ record }) => record.partitionKey))) {
        const lane = lanes.get(key)
        if (lane) settleLane(lane, returnedByKey.get(key) ?? [])
      }
      held.records += returned.length - taken.length
      held.bytes += memoryBytesOf(returned) - memoryBytesOf(taken)
    },
    clear() {
      lanes.clear()
      ready.clear()
      paused.clear()
      Object.assign(held, { records: 0, bytes: 0 })
    },
    nextDueMs: () => (paused.size === 0 ? undefined : Math.min(...paused.keys())),
    ready(nowMs: number) {
      wakeDue(nowMs)
      return ready.amount()
    },
    size: () => ({ ...held }),
  })
}

function putFirst(lane: Lane, returned: readonly Returned[]): void {
  if (returned.length === 0) return
  lane.waiting = [...returned, ...lane.waiting]
  lane.bytes += payloadBytesOf(returned)
}

function putLast(lane: Lane, record: QueuedRecord): void {
  lane.waiting.push(newOutgoing(record))
  lane.bytes += record.bytes
}

/** The lanes that may go, in turn, and what is in them. */
function createReadyLanes(perLaneMax: number) {
  const lanes = new Set<Lane>()
  const amount = { records: 0, bytes: 0 }

  function count(lane: Lane, sign: 1 | -1): void {
    amount.records += sign * Math.min(lane.waiting.length, perLaneMax)
    amount.bytes += sign * lane.bytes
  }

  return {
    add(lane: Lane) {
      if (lanes.has(lane)) return
      lanes.add(lane)
      count(lane, 1)
    },
    /** A record was added to the end of a lane, ready or not. */
    grown(lane: Lane, bytes: number) {
      if (!lanes.has(lane)) return
      if (lane.waiting.length <= perLaneMax) amount.records += 1
      amount.bytes += bytes
    },
    /** Moves what fits in one call from the heads of ready lanes into flight. */
    take(limits: CallLimits): readonly Outgoing[] {
      const taken: Outgoing[] = []
      let roomBytes = limits.bytesMax
      for (const lane of lanes) {
        const [head] = lane.waiting
        if (head?.alone === true && taken.length > 0) continue
        const recordsMax = Math.min(perLaneMax, limits.recordsMax - taken.length)
        const fitting = countThatFits(lane.waiting, recordsMax, roomBytes)
        const taking = taken.length === 0 ? Math.max(1, fitting) : fitting
        if (taking === 0) break
        lanes.delete(lane)
        count(lane, -1)
        const records = lane.waiting.splice(0, taking)
        const bytes = payloadBytesOf(records)
        lane.bytes -= bytes
        roomBytes -= bytes
        taken.push(...records)
        if (head?.alone === true || taken.length >= limits.recordsMax) break
      }
      return taken
    },
    clear() {
      lanes.clear()
      Object.assign(amount, { records: 0, bytes: 0 })
    },
    amount: () => ({ ...amount }),
  }
}
