import type { Filling } from '../call/call-builder.ts'
import { createHeldByShard } from './held-by-shard.ts'
import type { HeldByShard } from './held-by-shard.ts'
import type { Outgoing } from '../call/outgoing.ts'
import { createShardCalls } from '../shards/shard-calls.ts'
import type { QueueShards, ShardCall } from '../shards/shard-calls.ts'

/** Holds back the records of throttled shards, each for itself. */
export interface UnorderedShards {
  readonly held: HeldByShard<Outgoing>
  /**
   * Fills a call that starts at `nowMs`: with what is held and may be tried, then from the head of
   * what waits.
   * @returns how many from the head were taken or are held now
   */
  fill(filling: Filling, waiting: readonly Outgoing[], nowMs: number): number
  end(taken: readonly Outgoing[]): void
}

export function createUnorderedShards(shards: QueueShards): UnorderedShards {
  const held = createHeldByShard<Outgoing>(shards.room)
  const calls = createShardCalls(shards.room)

  function fillFromHeld(filling: Filling, call: ShardCall, nowMs: number): void {
    for (const { shardId, items } of held.due(nowMs)) {
      const taking = filling.isClosed() ? 0 : filling.fitting(items, call.left(shardId))
      if (taking === 0) continue
      call.took(shardId, taking)
      filling.take(items.splice(0, taking))
    }
  }

  function fillFrom(waiting: readonly Outgoing[], filling: Filling, call: ShardCall): number {
    const map = shards.map()
    for (const [index, outgoing] of waiting.entries()) {
      if (filling.isClosed()) return index
      const shardId = map?.shardOfRecord(outgoing.record)
      if (shardId !== undefined && call.left(shardId) === 0) {
        held.hold(shardId, outgoing)
        continue
      }
      // One that is to go alone ends the call, too: the next begins with it.
      if (filling.fitting([outgoing], 1) === 0) return index
      call.took(shardId, 1)
      filling.take([outgoing])
    }
    return waiting.length
  }

  return Object.freeze({
    held,
    fill(filling: Filling, waiting: readonly Outgoing[], nowMs: number) {
      const call = calls.begin(nowMs)
      fillFromHeld(filling, call, nowMs)
      const count = fillFrom(waiting, filling, call)
      call.start(filling.taken)
      return count
    },
    end: (taken: readonly Outgoing[]) => calls.end(taken),
  })
}
