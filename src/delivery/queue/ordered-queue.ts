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
 * While a shard is throttled (shard-throttles.ts), a lane that is ready may be held: it is found out
 * of which shard it is when its turn comes, and then it waits for the shard instead, with all its
 * records. What may be sent of such a shard goes first in the next call. So the lanes of other
 * shards pay for it with no more than being looked up, and without a throttle with nothing.
 *
 * With the order `none` there are no lanes, see unordered-queue.ts.
 */
import type { Ordering, QueuedRecord } from '../../outbox/outbox.ts'
import { createFilling } from '../call/call-builder.ts'
import { createHeldAmount } from './queue-size.ts'
import { createLaneShards } from './key-queue-shards.ts'
import { amountOf, createReadyLanes, newLane, putFirst, putLast } from './key-queue.ts'
import type { Lane } from './key-queue.ts'
import { listIn } from '../call/outgoing.ts'
import type { Outgoing, Returned } from '../call/outgoing.ts'
import { createPausedUntil } from './delayed.ts'
import type { CallLimits, SendQueue } from './send-queue.ts'
import { noShards } from '../shards/shard-calls.ts'
import type { QueueShards } from '../shards/shard-calls.ts'
import { createUnorderedQueue } from './unordered-queue.ts'

/** A queue that keeps what an order promises. */
export function createSendQueue(ordering: Ordering, shards: QueueShards = noShards): SendQueue {
  if (ordering === 'none') return createUnorderedQueue(shards)
  return createLaneQueue(ordering === 'strict' ? 1 : Infinity, shards)
}

/** @param perLaneMax records of a lane in one call */
function createLaneQueue(perLaneMax: number, shards: QueueShards): SendQueue {
  const lanes = new Map<string, Lane>()
  const ready = createReadyLanes(perLaneMax)
  const paused = createPausedUntil<Lane>()
  const laneShards = createLaneShards(shards, perLaneMax)
  const { held } = laneShards
  const amount = createHeldAmount()

  function wakeDue(nowMs: number): void {
    for (const lane of paused.takeDue(nowMs)) ready.add(lane)
    for (const lane of held.takeReopened()) ready.add(lane)
  }

  function laneOf(partitionKey: string): Lane {
    const known = lanes.get(partitionKey)
    if (known) return known
    const lane = newLane(partitionKey)
    lanes.set(partitionKey, lane)
    ready.add(lane)
    return lane
  }

  function take(nowMs: number, limits: CallLimits): readonly Outgoing[] {
    wakeDue(nowMs)
    const filling = createFilling(limits)
    laneShards.fill(filling, ready, nowMs)
    return filling.taken
  }

  function settleLane(lane: Lane, returned: readonly Returned[]): void {
    putFirst(lane, returned)
    if (lane.waiting.length === 0) {
      lanes.delete(lane.partitionKey)
      return
    }
    const dueMs = Math.max(0, ...returned.map((outgoing) => outgoing.dueMs))
    if (dueMs === 0) ready.add(lane)
    else paused.pause(dueMs, lane)
  }

  function release(taken: readonly Outgoing[], returned: readonly Returned[]): void {
    laneShards.end(taken)
    const returnedByKey = new Map<string, Returned[]>()
    for (const each of returned) listIn(returnedByKey, each.record.partitionKey).push(each)
    for (const key of new Set(taken.map(({ record }) => record.partitionKey))) {
      const lane = lanes.get(key)
      if (lane) settleLane(lane, returnedByKey.get(key) ?? [])
    }
    amount.released(taken, returned)
  }

  return Object.freeze({
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        amount.added(record)
        const lane = laneOf(record.partitionKey)
        putLast(lane, record)
        ready.grown(lane, record.bytes)
      }
    },
    take,
    release,
    clear() {
      lanes.clear()
      for (const part of [ready, paused, held, amount]) part.clear()
    },
    nextDueMs: (nowMs: number) => Math.min(paused.nextDueMs(), held.nextDueMs(nowMs)),
    ready(nowMs: number) {
      wakeDue(nowMs)
      const { records, bytes } = ready.amount()
      return { records: records + held.dueCount(nowMs), bytes }
    },
    heldFor: (shardId: string) => amountOf(held.itemsOf(shardId)),
    size: () => amount.size(),
  })
}
