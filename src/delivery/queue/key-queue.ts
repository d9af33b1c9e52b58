import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Amount, CallBuilder, Outgoing, Returned } from '../call/outgoing.ts'
import { newOutgoing, payloadBytesOf } from '../call/outgoing.ts'
import type { ShardMap } from '../shards/shard-map.ts'
import { hashKeyOf } from '../../base/hash-key.ts'
import { createHeldByShard } from './send-queue.ts'
import type { HeldByShard } from './send-queue.ts'
import { createShardCalls } from '../shards/shard-throttles.ts'
import type { QueueShards, ShardCall } from '../shards/shard-throttles.ts'

/** The records of one partition key that are not in flight, in order. */
export interface KeyQueue {
  readonly partitionKey: string
  waiting: Outgoing[]
  /** Bytes of payload of the waiting records. */
  bytes: number
  /** The shard of the key and the map that gave it; looked up only while a shard is throttled. */
  shardId: string | undefined
  shardMap: ShardMap | undefined
}

export function newKeyQueue(partitionKey: string): KeyQueue {
  return { partitionKey, waiting: [], bytes: 0, shardId: undefined, shardMap: undefined }
}

export function putFirst(keyQueue: KeyQueue, returned: readonly Returned[]): void {
  if (returned.length === 0) return
  keyQueue.waiting = [...returned, ...keyQueue.waiting]
  keyQueue.bytes += payloadBytesOf(returned)
}

export function putLast(keyQueue: KeyQueue, record: QueuedRecord): void {
  keyQueue.waiting.push(newOutgoing(record))
  keyQueue.bytes += record.bytes
}

/** The records that wait in the key queues, and their bytes of payload. */
export function amountOf(keyQueues: readonly KeyQueue[]): Amount {
  let records = 0
  let bytes = 0
  for (const keyQueue of keyQueues) {
    records += keyQueue.waiting.length
    bytes += keyQueue.bytes
  }
  return { records, bytes }
}

/** Moves `count` records from the head of a key queue into a call. */
function moveInto(builder: CallBuilder, keyQueue: KeyQueue, count: number): void {
  const records = keyQueue.waiting.splice(0, count)
  keyQueue.bytes -= payloadBytesOf(records)
  builder.take(records)
}

/** The key queues that may go, in turn. */
interface ReadyQueues {
  add(keyQueue: KeyQueue): void
  /** A record was added to the end of a key queue, which need not be ready. */
  grown(keyQueue: KeyQueue, bytes: number): void
  /** Moves records from the heads of ready key queues into a call, as far as they fit. */
  fill(builder: CallBuilder, holding?: QueueHolding): void
  clear(): void
  amount(): Amount
}

/** Holds back key queues of throttled shards that would be ready otherwise. */
interface QueueHolding {
  /** How many records the call may take from the head of the key queue. */
  recordsMax(keyQueue: KeyQueue): number
  took(keyQueue: KeyQueue, count: number): void
  /** Takes over a key queue that may not go: it is no longer among the ready ones. */
  hold(keyQueue: KeyQueue): void
}

/** @param perKeyMax records of a key queue in one call */
export function createReadyQueues(perKeyMax: number): ReadyQueues {
  const keyQueues = new Set<KeyQueue>()
  const amount = { records: 0, bytes: 0 }

  function count(keyQueue: KeyQueue, sign: 1 | -1): void {
    amount.records += sign * Math.min(keyQueue.waiting.length, perKeyMax)
    amount.bytes += sign * keyQueue.bytes
  }

  function remove(keyQueue: KeyQueue): void {
    keyQueues.delete(keyQueue)
    count(keyQueue, -1)
  }

  return {
    add(keyQueue) {
      if (keyQueues.has(keyQueue)) return
      keyQueues.add(keyQueue)
      count(keyQueue, 1)
    },
    grown(keyQueue, bytes) {
      if (!keyQueues.has(keyQueue)) return
      if (keyQueue.waiting.length <= perKeyMax) amount.records += 1
      amount.bytes += bytes
    },
    fill(builder, holding) {
      for (const keyQueue of keyQueues) {
        if (builder.isClosed()) return
        const recordsMax = Math.min(perKeyMax, holding?.recordsMax(keyQueue) ?? perKeyMax)
        if (recordsMax === 0) {
          remove(keyQueue)
          holding?.hold(keyQueue)
          continue
        }
        const taking = builder.fitting(keyQueue.waiting, recordsMax)
        if (taking === 0) continue
        remove(keyQueue)
        holding?.took(keyQueue, taking)
        moveInto(builder, keyQueue, taking)
      }
    },
    clear() {
      keyQueues.clear()
      Object.assign(amount, { records: 0, bytes: 0 })
    },
    amount: () => ({ records: amount.records, bytes: amount.bytes }),
  }
}

/**
 * Holds back the key queues of throttled shards. With explicit hash keys the records of one
 * partition key may belong to several shards. A key queue therefore waits for the shard of its
 * first record, and while a shard is throttled a call takes only records that share one hash key.
 */
interface KeyQueueShards {
  readonly held: HeldByShard<KeyQueue>
  /** Fills a call that starts at `nowMs`: first with held records that may be tried. */
  fill(builder: CallBuilder, ready: ReadyQueues, nowMs: number): void
  end(taken: readonly Outgoing[]): void
}

/** @param perKeyMax records of a key queue in one call */
export function createKeyQueueShards(shards: QueueShards, perKeyMax: number): KeyQueueShards {
  const held = createHeldByShard<KeyQueue>(shards.room)
  const calls = createShardCalls(shards.room)

  /** Costs one MD5 per key queue, and only while a shard is throttled. */
  function shardOf(keyQueue: KeyQueue): string | undefined {
    const known = shards.map()
    const explicitHashKey = keyQueue.waiting[0]?.record.explicitHashKey
    if (explicitHashKey !== undefined) return known?.shardOf(BigInt(explicitHashKey))
    if (known !== undefined && keyQueue.shardMap !== known) {
      keyQueue.shardMap = known
      keyQueue.shardId = known.shardOf(hashKeyOf(keyQueue.partitionKey))
    }
    return keyQueue.shardId
  }

  function holdingFor(call: ShardCall, perCallMax: number): QueueHolding {
    return {
      recordsMax(keyQueue) {
        const left = Math.min(perKeyMax, perCallMax, call.left(shardOf(keyQueue)))
        return left === 0 ? 0 : countOfOneHashKey(keyQueue.waiting, left)
      },
      took: (keyQueue, count) => call.took(shardOf(keyQueue), count),
      hold(keyQueue) {
        const shardId = shardOf(keyQueue)
        if (shardId !== undefined) held.hold(shardId, keyQueue)
      },
    }
  }

  function fillFromHeld(builder: CallBuilder, holding: QueueHolding, nowMs: number): void {
    for (const { items: keyQueues } of held.due(nowMs)) {
      let count = 0
      for (const keyQueue of keyQueues) {
        const recordsMax = builder.isClosed() ? 0 : holding.recordsMax(keyQueue)
        const taking = recordsMax === 0 ? 0 : builder.fitting(keyQueue.waiting, recordsMax)
        // A key queue that does not fit keeps its place before the key queues behind it.
        if (taking === 0) break
        holding.took(keyQueue, taking)
        moveInto(builder, keyQueue, taking)
        count += 1
      }
      keyQueues.splice(0, count)
    }
  }

  return {
    held,
    fill(builder: CallBuilder, ready: ReadyQueues, nowMs: number) {
      if (!shards.room.any()) return ready.fill(builder)
      const call = calls.begin(nowMs)
      const holding = holdingFor(call, builder.recordsMax)
      fillFromHeld(builder, holding, nowMs)
      ready.fill(builder, holding)
      call.start(builder.taken)
    },
    end: (taken: readonly Outgoing[]) => calls.end(taken),
  }
}

/** How many records at the head share the first one's explicit hash key, at most `countMax`. */
function countOfOneHashKey(waiting: readonly Outgoing[], countMax: number): number {
  const explicitHashKey = waiting[0]?.record.explicitHashKey
  let count = 0
  while (count < countMax && count < waiting.length) {
    if (waiting[count]?.record.explicitHashKey !== explicitHashKey) break
    count += 1
  }
  return count
}
