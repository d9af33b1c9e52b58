import { hashKeyOf } from '../../base/hash-key.ts'
import type { Filling } from '../call/call-builder.ts'
import { createHeldByShard } from './held-by-shard.ts'
import type { HeldByShard } from './held-by-shard.ts'
import { moveInto } from './key-queue.ts'
import type { Lane, LaneHolding, ReadyLanes } from './key-queue.ts'
import type { Outgoing } from '../call/outgoing.ts'
import { createShardCalls } from '../shards/shard-calls.ts'
import type { QueueShards, ShardCall } from '../shards/shard-calls.ts'

/**
 * Holds back the lanes of throttled shards. A lane waits for the shard of its first record: with
 * explicit hash keys the records of one partition key may go to several, and a call takes of them
 * what has one hash key.
 */
export interface LaneShards {
  readonly held: HeldByShard<Lane>
  /** Fills a call that starts at `nowMs`: with what is held and may be tried, then with ready lanes. */
  fill(filling: Filling, ready: ReadyLanes, nowMs: number): void
  end(taken: readonly Outgoing[]): void
}

/** @param perLaneMax records of a lane in one call */
export function createLaneShards(shards: QueueShards, perLaneMax: number): LaneShards {
  const held = createHeldByShard<Lane>(shards.room)
  const calls = createShardCalls(shards.room)

  /** Costs an MD5 once a lane, and only while a shard is throttled. */
  function shardOf(lane: Lane): string | undefined {
    const known = shards.map()
    const explicitHashKey = lane.waiting[0]?.record.explicitHashKey
    if (explicitHashKey !== undefined) return known?.shardOf(BigInt(explicitHashKey))
    if (known !== undefined && lane.shardMap !== known) {
      lane.shardMap = known
      lane.shardId = known.shardOf(hashKeyOf(lane.partitionKey))
    }
    return lane.shardId
  }

  function holdingFor(call: ShardCall, perCallMax: number): LaneHolding {
    return {
      recordsMax(lane) {
        const left = Math.min(perLaneMax, perCallMax, call.left(shardOf(lane)))
        return left === 0 ? 0 : countOfOneHashKey(lane.waiting, left)
      },
      took: (lane, count) => call.took(shardOf(lane), count),
      hold(lane) {
        const shardId = shardOf(lane)
        if (shardId !== undefined) held.hold(shardId, lane)
      },
    }
  }

  function fillFromHeld(filling: Filling, holding: LaneHolding, nowMs: number): void {
    for (const { items: lanes } of held.due(nowMs)) {
      let count = 0
      for (const lane of lanes) {
        const recordsMax = filling.isClosed() ? 0 : holding.recordsMax(lane)
        const taking = recordsMax === 0 ? 0 : filling.fitting(lane.waiting, recordsMax)
        // What does not fit stays in front of what is behind it.
        if (taking === 0) break
        holding.took(lane, taking)
        moveInto(filling, lane, taking)
        count += 1
      }
      lanes.splice(0, count)
    }
  }

  return Object.freeze({
    held,
    fill(filling: Filling, ready: ReadyLanes, nowMs: number) {
      if (!shards.room.any()) return ready.fill(filling)
      const call = calls.begin(nowMs)
      const holding = holdingFor(call, filling.recordsMax)
      fillFromHeld(filling, holding, nowMs)
      ready.fill(filling, holding)
      call.start(filling.taken)
    },
    end: (taken: readonly Outgoing[]) => calls.end(taken),
  })
}

/** How many from the head go by the hash key of the first, at most `countMax`. */
function countOfOneHashKey(waiting: readonly Outgoing[], countMax: number): number {
  const explicitHashKey = waiting[0]?.record.explicitHashKey
  let count = 0
  while (count < countMax && count < waiting.length) {
    if (waiting[count]?.record.explicitHashKey !== explicitHashKey) break
    count += 1
  }
  return count
}
