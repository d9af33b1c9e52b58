/**
 * Decides which records go in the next call. It does no I/O and reads no clock: the same steps give
 * the same calls.
 *
 * With the orders `key` and `strict` the records of one partition key form a key queue. A key queue
 * is ready, in flight, or paused:
 *
 *     ready --take--> in flight --release, all delivered--> ready, or removed when empty
 *       ^                 '-------release, some failed----> paused --its delay is over--.
 *       '------------------------------------------------------------------------------'
 *
 * Invariants, from which the order of a key follows:
 * - Records of a key queue are taken from its head only, and a failed record returns to the head.
 * - A key queue in flight is never taken again: calls of one key do not overlap.
 * - A paused key queue holds all its records back: no later record of the key passes a failed one.
 * - With `strict` a call takes one record of a key queue.
 *
 * With `key`, records of one key can therefore change places only within a call that failed in
 * part, where PutRecords itself promises no order. With `strict` they never do. Key queues take
 * turns: the first that was ready goes first.
 *
 * While a shard is throttled (shard-throttles.ts), the shard of a ready key queue is looked up when
 * the turn of the key queue comes. If that shard is throttled, the key queue waits for it with all
 * its records, and goes first in the next call that may hold records of the shard. Key queues of
 * other shards pay only for the look-up, and pay nothing while no shard is throttled.
 *
 * The order `none` has no key queues: see unordered-queue.ts.
 */
import type { Ordering, QueuedRecord } from '../../outbox/outbox.ts'
import { createCallBuilder, listIn } from '../call/outgoing.ts'
import type { CallLimits, Outgoing, Returned } from '../call/outgoing.ts'
import { noShards } from '../shards/shard-throttles.ts'
import type { QueueShards } from '../shards/shard-throttles.ts'
import {
  amountOf,
  createKeyQueueShards,
  createReadyQueues,
  newKeyQueue,
  putFirst,
  putLast,
} from './key-queue.ts'
import type { KeyQueue } from './key-queue.ts'
import { createDelayed, createQueueSize } from './send-queue.ts'
import type { NextCall, SendQueue } from './send-queue.ts'
import { createSlowKeyQueues } from './slow-keys.ts'

/** @param ordering of the destination: `key`, or `strict` with one record of a key in a call */
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
  const queueSize = createQueueSize()
  const slow = createSlowKeyQueues(perKeyMax)

  function wakeDue(nowMs: number): void {
    for (const keyQueue of paused.takeDue(nowMs)) ready.add(keyQueue)
    for (const keyQueue of held.takeReopened()) ready.add(keyQueue)
  }

  function next(nowMs: number): NextCall {
    wakeDue(nowMs)
    const { records, bytes } = ready.amount()
    const dueMs = Math.min(paused.nextDueMs(), held.nextDueMs(nowMs))
    return { records: records + held.dueCount(nowMs), bytes, dueMs }
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
    const dueMs = Math.max(0, ...returned.map((outgoing) => outgoing.dueMs))
    slow.ended(keyQueue, dueMs > 0)
    if (keyQueue.waiting.length === 0) keyQueues.delete(keyQueue.partitionKey)
    else if (dueMs === 0) ready.add(keyQueue)
    else paused.pause(dueMs, keyQueue)
  }

  function release(taken: readonly Outgoing[], returned: readonly Returned[]): void {
    keyQueueShards.end(taken)
    const returnedByKey = byPartitionKey(returned)
    for (const key of new Set(taken.map(({ record }) => record.partitionKey))) {
      const keyQueue = keyQueues.get(key)
      if (keyQueue) returnTo(keyQueue, returnedByKey.get(key) ?? [])
    }
    queueSize.released(taken, returned)
  }

  return {
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        queueSize.added(record)
        const keyQueue = keyQueueOf(record.partitionKey)
        putLast(keyQueue, record)
        ready.grown(keyQueue, record.bytes)
      }
    },
    next,
    take,
    release,
    clear() {
      keyQueues.clear()
      for (const part of [ready, paused, held, queueSize, slow]) part.clear()
    },
    slowKeys: () => slow.slowKeys(keyQueues.values(), queueSize.size()),
    heldFor: (shardId: string) => amountOf(held.itemsOf(shardId)),
    size: () => queueSize.size(),
  }
}

function byPartitionKey(returned: readonly Returned[]): ReadonlyMap<string, readonly Returned[]> {
  const byKey = new Map<string, Returned[]>()
  for (const each of returned) listIn(byKey, each.record.partitionKey).push(each)
  return byKey
}
