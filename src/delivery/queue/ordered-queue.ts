/**
 * Which records go in the next call. No I/O, no clock: the same steps give the same calls.
 *
 * With the orders `key` and `strict` the records of one partition key form a key queue. A key queue
 * is ready, in flight, or paused:
 *
 *     ready --take--> in flight --release, all delivered--> ready, or gone when empty
 *       ^                 '-------release, some failed----> paused --its time has come--.
 *       '------------------------------------------------------------------------------'
 *
 * Invariants, from which the order of a key follows:
 * - Records of a key queue are taken from its head only, and a failed record returns to the head.
 * - A key queue in flight is never taken again: calls of one key do not overlap.
 * - A paused key queue holds all its records back: nothing later of the key passes a failed record.
 * - With `strict` a call takes one record of a key queue.
 *
 * So with `key` the one inversion possible is among the records of a key in one call that failed in
 * part, for which PutRecords itself promises no order; with `strict` there is none. Key queues take
 * turns, first ready, first served.
 *
 * While a shard is throttled (shard-throttles.ts), a key queue that is ready may be held: its shard
 * is looked up when its turn comes, and then it waits for the shard instead, with all its records.
 * What may be sent of such a shard goes first in the next call. So the key queues of other shards
 * pay no more than this look-up, and nothing while no shard is throttled.
 *
 * With the order `none` there are no key queues, see unordered-queue.ts.
 */
import type { Ordering, QueuedRecord } from '../../outbox/outbox.ts'
import { createCallBuilder, listIn } from '../call/outgoing.ts'
import { createQueueSize } from './send-queue.ts'
import {
  amountOf,
  createKeyQueueShards,
  createReadyQueues,
  newKeyQueue,
  putFirst,
  putLast,
} from './key-queue.ts'
import type { KeyQueue } from './key-queue.ts'
import type { CallLimits, Outgoing, Returned } from '../call/outgoing.ts'
import { createDelayed } from './delayed.ts'
import type { SendQueue } from './send-queue.ts'
import { noShards } from '../shards/shard-throttles.ts'
import type { QueueShards } from '../shards/shard-throttles.ts'

/** @param ordering of the destination: `key`, or `strict`, with one record of a key in a call */
export function createOrderedQueue(
  ordering: Exclude<Ordering, 'none'>,
  shards: QueueShards = noShards,
): SendQueue {
  return createKeyOrderedQueue(ordering === 'strict' ? 1 : Infinity, shards)
}

/** @param perKeyMax records of one key in a call */
function createKeyOrderedQueue(perKeyMax: number, shards: QueueShards): SendQueue {
  const keyQueues = new Map<string, KeyQueue>()
  const ready = createReadyQueues(perKeyMax)
  const paused = createDelayed<KeyQueue>()
  const keyQueueShards = createKeyQueueShards(shards, perKeyMax)
  const { held } = keyQueueShards
  const amount = createQueueSize()

  function wakeDue(nowMs: number): void {
    for (const keyQueue of paused.takeDue(nowMs)) ready.add(keyQueue)
    for (const keyQueue of held.takeReopened()) ready.add(keyQueue)
  }

  function keyQueueOf(partitionKey: string): KeyQueue {
    const known = keyQueues.get(partitionKey)
    if (known) return known
    const keyQueue = newKeyQueue(partitionKey)
    keyQueues.set(partitionKey, keyQueue)
    ready.add(keyQueue)
    return keyQueue
  }

  function take(nowMs: number, limits: CallLimits): readonly Outgoing[] {
    wakeDue(nowMs)
    const builder = createCallBuilder(limits)
    keyQueueShards.fill(builder, ready, nowMs)
    return builder.taken
  }

  function returnTo(keyQueue: KeyQueue, returned: readonly Returned[]): void {
    putFirst(keyQueue, returned)
    if (keyQueue.waiting.length === 0) {
      keyQueues.delete(keyQueue.partitionKey)
      return
    }
    const dueMs = Math.max(0, ...returned.map((outgoing) => outgoing.dueMs))
    if (dueMs === 0) ready.add(keyQueue)
    else paused.pause(dueMs, keyQueue)
  }

  function release(taken: readonly Outgoing[], returned: readonly Returned[]): void {
    keyQueueShards.end(taken)
    const returnedByKey = byPartitionKey(returned)
    for (const key of new Set(taken.map(({ record }) => record.partitionKey))) {
      const keyQueue = keyQueues.get(key)
      if (keyQueue) returnTo(keyQueue, returnedByKey.get(key) ?? [])
    }
    amount.released(taken, returned)
  }

  return {
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        amount.added(record)
        const keyQueue = keyQueueOf(record.partitionKey)
        putLast(keyQueue, record)
        ready.grown(keyQueue, record.bytes)
      }
    },
    take,
    release,
    clear() {
      keyQueues.clear()
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
  }
}

function byPartitionKey(returned: readonly Returned[]): ReadonlyMap<string, readonly Returned[]> {
  const byKey = new Map<string, Returned[]>()
  for (const each of returned) listIn(byKey, each.record.partitionKey).push(each)
  return byKey
}
