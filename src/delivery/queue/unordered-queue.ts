import type { QueuedRecord } from '../../outbox/outbox.ts'
import { createFilling } from '../call/call-builder.ts'
import { createHeldAmount } from './queue-size.ts'
import { countThatFits, newOutgoing, payloadBytesOf } from '../call/outgoing.ts'
import { createPausedUntil } from './delayed.ts'
import type { Amount, CallLimits, Outgoing, Returned, SendQueue } from './send-queue.ts'
import type { QueueShards } from '../shards/shard-calls.ts'
import { createUnorderedShards } from './unordered-shards.ts'

/**
 * The queue of the order `none`: records go as they come, whatever is in flight or has failed. One
 * that failed goes again when its time has come, before those that were not sent yet. While a shard
 * is throttled, a record of it is held when its turn comes, until the shard may be tried.
 */
export function createUnorderedQueue(shards: QueueShards): SendQueue {
  let waiting: Outgoing[] = []
  let waitingBytes = 0
  const paused = createPausedUntil<Outgoing>()
  const unorderedShards = createUnorderedShards(shards)
  const { held } = unorderedShards
  const amount = createHeldAmount()

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

  return Object.freeze({
    add(records: readonly QueuedRecord[]) {
      for (const record of records) {
        waiting.push(newOutgoing(record))
        waitingBytes += record.bytes
        amount.added(record)
      }
    },
    take(nowMs: number, limits: CallLimits) {
      wakeDue(nowMs)
      if (!shards.room.any()) {
        return takeFirst(Math.max(1, countThatFits(waiting, limits.recordsMax, limits.bytesMax)))
      }
      const filling = createFilling(limits)
      takeFirst(unorderedShards.fill(filling, waiting, nowMs))
      return filling.taken
    },
    release(taken: readonly Outgoing[], returned: readonly Returned[]) {
      unorderedShards.end(taken)
      putFirst(returned.filter(({ dueMs }) => dueMs === 0))
      for (const outgoing of returned) {
        if (outgoing.dueMs > 0) paused.pause(outgoing.dueMs, outgoing)
      }
      amount.released(taken, returned)
    },
    clear() {
      waiting = []
      waitingBytes = 0
      paused.clear()
      held.clear()
      amount.clear()
    },
    nextDueMs: (nowMs: number) => Math.min(paused.nextDueMs(), held.nextDueMs(nowMs)),
    ready(nowMs: number): Amount {
      wakeDue(nowMs)
      return { records: waiting.length + held.dueCount(nowMs), bytes: waitingBytes }
    },
    heldFor(shardId: string): Amount {
      const items = held.itemsOf(shardId)
      return { records: items.length, bytes: payloadBytesOf(items) }
    },
    size: () => amount.size(),
  })
}
