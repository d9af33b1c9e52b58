import type { Outgoing } from '../call/outgoing.ts'
import type { ShardMap } from './shard-map.ts'
import type { ShardRoom } from './shard-throttles.ts'

/** What a queue knows of the shards of its stream. */
export interface QueueShards {
  readonly room: ShardRoom
  /** Undefined until it is learned, or where it may not be read. */
  map(): ShardMap | undefined
}

/** Nothing is known: no shard ever holds anything back. */
export const noShards: QueueShards = Object.freeze({
  room: Object.freeze({
    any: () => false,
    count: () => 0,
    isThrottled: () => false,
    recordsMax: () => Infinity,
    dueMs: () => undefined,
    began: () => undefined,
    ended: () => undefined,
  }),
  map: () => undefined,
})

/** A call that is being filled, as the throttled shards see it. */
export interface ShardCall {
  /** How many more records of the shard it may take: without bound where the shard is not known. */
  left(shardId: string | undefined): number
  took(shardId: string | undefined, count: number): void
  /** It starts with these records. */
  start(taken: readonly Outgoing[]): void
}

/** Which calls hold records of throttled shards. */
export interface ShardCalls {
  begin(nowMs: number): ShardCall
  /** A call ends. `taken` is the very list that it was started with. */
  end(taken: readonly Outgoing[]): void
}

export function createShardCalls(room: ShardRoom): ShardCalls {
  const inFlight = new Map<readonly Outgoing[], readonly string[]>()

  return Object.freeze({
    begin(nowMs: number): ShardCall {
      const counts = new Map<string, number>()
      return {
        left: (shardId) =>
          shardId === undefined
            ? Infinity
            : Math.max(0, room.recordsMax(shardId, nowMs) - (counts.get(shardId) ?? 0)),
        took(shardId, count) {
          if (shardId === undefined || !room.isThrottled(shardId)) return
          counts.set(shardId, (counts.get(shardId) ?? 0) + count)
        },
        start(taken) {
          if (counts.size === 0) return
          inFlight.set(taken, [...counts.keys()])
          for (const shardId of counts.keys()) room.began(shardId)
        },
      }
    },
    end(taken: readonly Outgoing[]) {
      for (const shardId of inFlight.get(taken) ?? []) room.ended(shardId)
      inFlight.delete(taken)
    },
  })
}
