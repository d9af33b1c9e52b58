import type { QueuedRecord } from '../../outbox/outbox.ts'
import { countThatFits, createCallBuilder, newOutgoing, payloadBytesOf } from '../call/outgoing.ts'
import type { Amount, CallBuilder, CallLimits, Outgoing, Returned } from '../call/outgoing.ts'
import { createShardCalls } from '../shards/shard-throttles.ts'
import type { QueueShards, ShardCall } from '../shards/shard-throttles.ts'
import { createDelayed, createHeldByShard, createQueueSize } from './send-queue.ts'
import type { HeldByShard, NextCall, SendQueue } from './send-queue.ts'
import { slowKeysOf } from './slow-keys.ts'

/**
 * The queue of the order `none`: records are sent as they come, whatever is in flight or has
 * failed. A failed record is sent again after its delay, before records that were never sent. When
 * the turn of a record comes while its shard is throttled, it is held until the shard may be tried.
 */
export function createUnorderedQueue(shards: QueueShards): SendQueue {
  let waiting: Outgoing[] = []
  let waitingBytes = 0
  const paused = createDelayed<Outgoing>()
  const unorderedShards = createUnorderedShards(shards)
  const { held } = unorderedShards
  const queueSize = createQueueSize()

  function putFirst(outgoing: readonly Outgoing[]): void {
    if (outgoing.length === 0) return
    waiting = [...outgoing, ...waiting]
    waitingBytes += payloadBytesOf(outgoing)
  }

  function takeFirst(count: number): readonly Outgoing[] {
    const taken = waiting.splice(0, count)
    waitingBytes -= payloadBytesOf(taken)
    return taken
  }

  function wakeDue(nowMs: number): void {
    putFirst(paused.takeDue(nowMs))
    putFirst(held.takeReopened())
  }

  return {
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        waiting.push(newOutgoing(record))
        waitingBytes += record.bytes
        queueSize.added(record)
      }
    },
    next(nowMs: number): NextCall {
      wakeDue(nowMs)
      const dueMs = Math.min(paused.nextDueMs(), held.nextDueMs(nowMs))
      return { records: waiting.length + held.dueCount(nowMs), bytes: waitingBytes, dueMs }
    },
    take(nowMs: number, limits: CallLimits) {
      wakeDue(nowMs)
      if (!shards.room.any()) {
        return takeFirst(Math.max(1, countThatFits(waiting, limits.recordsMax, limits.bytesMax)))
      }
      const builder = createCallBuilder(limits)
      takeFirst(unorderedShards.fill(builder, waiting, nowMs))
      return builder.taken
    },
    release(taken: readonly Outgoing[], returned: readonly Returned[]) {
      unorderedShards.end(taken)
      putFirst(returned.filter(({ dueMs }) => dueMs === 0))
      for (const outgoing of returned) {
        if (outgoing.dueMs > 0) paused.pause(outgoing.dueMs, outgoing)
      }
      queueSize.released(taken, returned)
    },
    clear() {
      waiting = []
      waitingBytes = 0
      paused.clear()
      held.clear()
      queueSize.clear()
    },
    slowKeys: () => slowKeysOf([...paused.items()]),
    heldFor(shardId: string): Amount {
      const items = held.itemsOf(shardId)
      return { records: items.length, bytes: payloadBytesOf(items) }
    },
    size: () => queueSize.size(),
  }
}

/** Holds back the records of throttled shards, each one by itself. */
interface UnorderedShards {
  readonly held: HeldByShard<Outgoing>
  /**
   * Fills a call that starts at `nowMs`: first with held records that may be tried, then with
   * records from the head of `waiting`.
   *
   * @returns how many records from the head were taken or are held now
   */
  fill(builder: CallBuilder, waiting: readonly Outgoing[], nowMs: number): number
  end(taken: readonly Outgoing[]): void
}

function createUnorderedShards(shards: QueueShards): UnorderedShards {
  const held = createHeldByShard<Outgoing>(shards.room)
  const calls = createShardCalls(shards.room)

  function fillFromHeld(builder: CallBuilder, call: ShardCall, nowMs: number): void {
    for (const { shardId, items } of held.due(nowMs)) {
      const taking = builder.isClosed() ? 0 : builder.fitting(items, call.left(shardId))
      if (taking === 0) continue
      call.took(shardId, taking)
      builder.take(items.splice(0, taking))
    }
  }

  function fillFrom(waiting: readonly Outgoing[], builder: CallBuilder, call: ShardCall): number {
    const map = shards.map()
    for (const [index, outgoing] of waiting.entries()) {
      if (builder.isClosed()) return index
      const shardId = map?.shardOfRecord(outgoing.record)
      if (shardId !== undefined && call.left(shardId) === 0) {
        held.hold(shardId, outgoing)
        continue
      }
      // A record that must go alone also ends the call: the next call begins with it.
      if (builder.fitting([outgoing], 1) === 0) return index
      call.took(shardId, 1)
      builder.take([outgoing])
    }
    return waiting.length
  }

  return {
    held,
    fill(builder: CallBuilder, waiting: readonly Outgoing[], nowMs: number) {
      const call = calls.begin(nowMs)
      fillFromHeld(builder, call, nowMs)
      const count = fillFrom(waiting, builder, call)
      call.start(builder.taken)
      return count
    },
    end: (taken: readonly Outgoing[]) => calls.end(taken),
  }
}
