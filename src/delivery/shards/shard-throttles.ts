/**
 * Keeps track of the throttled shards of a stream: until when each is paused, and how many records
 * it may be sent after that. It does no I/O and reads no clock: callers pass the time.
 *
 *                  .-- throttled ---.                 .-- taken in full: twice as much -.
 *                  v                |                 v                                 |
 *     open ---> paused ---due---> trying ---one call at a time, `recordsMax` of the shard
 *       ^                                                                               |
 *       '------------------------------------ taken in full, as many as a full call ----'
 *
 * Invariants:
 * - A paused shard is sent nothing. The pause grows with the number of throttles in a row. A
 *   throttle that let some records of the call through starts a new count.
 * - After a pause, one call at a time holds records of the shard, at first half as many as the
 *   shard took of the call that it throttled. The backlog therefore does not cause the next
 *   throttle.
 * - Calls that were in flight when a shard was paused tell nothing new about the shard. A call
 *   carries the generation in which it started, and each pause starts a new generation.
 * - An open shard costs nothing: it has no state, and no record's shard is looked up for it.
 */
import { retryDelayMs } from '../call/retry.ts'
import type { Outgoing } from '../call/outgoing.ts'
import type { ShardMap } from './shard-map.ts'

/** How many records of one shard a call delivered, and how many were throttled. */
interface ShardOutcome {
  readonly delivered: number
  readonly throttled: number
}

/** How many records of each shard a call may hold. */
export interface ShardRoom {
  /** False while no shard is throttled: then there is room for every record. */
  any(): boolean
  /** How many shards are throttled. */
  count(): number
  isThrottled(shardId: string): boolean
  /** How many records of the shard a call that starts at `nowMs` may hold. */
  recordsMax(shardId: string, nowMs: number): number
  /** When a throttled shard may be tried; undefined when it is open or being tried. */
  dueMs(shardId: string): number | undefined
  /** A call with records of the shard has started. */
  began(shardId: string): void
  /** That call has ended. */
  ended(shardId: string): void
}

export interface ShardThrottles extends ShardRoom {
  /** The generation of a call that starts now. The caller returns it with the call's outcome. */
  generation(): number
  /** @returns whether this outcome paused the shard */
  answered(shardId: string, outcome: ShardOutcome, generation: number, nowMs: number): boolean
  /** Forgets the shards that are not kept, because they are closed. */
  keep(isKept: (shardId: string) => boolean): void
  /** The shards that are throttled now. */
  throttled(): readonly string[]
}

interface Throttle {
  /** The generation that the latest pause started. */
  generation: number
  inARow: number
  dueMs: number
  recordsMax: number
  isInFlight: boolean
}

/** As many records as a full call takes: a shard that takes them is open again. */
const recordsOfOpenShard = 500

/** @param random numbers in [0, 1) */
export function createShardThrottles(random: () => number): ShardThrottles {
  const throttles = new Map<string, Throttle>()
  let currentGeneration = 0

  function pause(shardId: string, delivered: number, nowMs: number): void {
    const known = throttles.get(shardId)
    const inARow = delivered > 0 ? 1 : (known?.inARow ?? 0) + 1
    currentGeneration += 1
    throttles.set(shardId, {
      generation: currentGeneration,
      inARow,
      dueMs: nowMs + Math.ceil(retryDelayMs('passing', inARow, random())),
      recordsMax: Math.max(1, Math.floor(delivered / 2)),
      isInFlight: known?.isInFlight ?? false,
    })
  }

  return {
    any: () => throttles.size > 0,
    count: () => throttles.size,
    isThrottled: (shardId: string) => throttles.has(shardId),
    recordsMax(shardId: string, nowMs: number) {
      const throttle = throttles.get(shardId)
      if (throttle === undefined) return Infinity
      return throttle.isInFlight || nowMs < throttle.dueMs ? 0 : throttle.recordsMax
    },
    dueMs(shardId: string) {
      const throttle = throttles.get(shardId)
      return throttle === undefined || throttle.isInFlight ? undefined : throttle.dueMs
    },
    began(shardId: string) {
      const throttle = throttles.get(shardId)
      if (throttle !== undefined) throttle.isInFlight = true
    },
    ended(shardId: string) {
      const throttle = throttles.get(shardId)
      if (throttle !== undefined) throttle.isInFlight = false
    },
    generation: () => currentGeneration,
    answered(shardId: string, outcome: ShardOutcome, generation: number, nowMs: number) {
      const { delivered, throttled } = outcome
      const known = throttles.get(shardId)
      if (known !== undefined && generation < known.generation) return false
      if (throttled > 0) {
        pause(shardId, delivered, nowMs)
        return true
      }
      if (known === undefined || delivered === 0) return false
      known.inARow = 0
      known.recordsMax *= 2
      if (known.recordsMax >= recordsOfOpenShard) throttles.delete(shardId)
      return false
    },
    keep(isKept: (shardId: string) => boolean) {
      for (const shardId of throttles.keys()) {
        if (!isKept(shardId)) throttles.delete(shardId)
      }
    },
    throttled: () => [...throttles.keys()],
  }
}

/** The shards of a stream, as its queue sees them. */
export interface QueueShards {
  readonly room: ShardRoom
  /** Undefined until the map is learned, and for good when the role denies ListShards. */
  map(): ShardMap | undefined
}

/** No shard is known, and no shard ever holds records back. */
export const noShards: QueueShards = {
  room: {
    any: () => false,
    count: () => 0,
    isThrottled: () => false,
    recordsMax: () => Infinity,
    dueMs: () => undefined,
    began: () => undefined,
    ended: () => undefined,
  },
  map: () => undefined,
}

/** Counts the records of throttled shards in a call that is being filled. */
export interface ShardCall {
  /** How many more records of the shard the call may take; Infinity when no shard is known. */
  left(shardId: string | undefined): number
  took(shardId: string | undefined, count: number): void
  /** The call starts with these records. */
  start(taken: readonly Outgoing[]): void
}

/** Remembers which calls hold records of throttled shards. */
interface ShardCalls {
  begin(nowMs: number): ShardCall
  /** A call ends. `taken` is the very list that the call was started with. */
  end(taken: readonly Outgoing[]): void
}

export function createShardCalls(room: ShardRoom): ShardCalls {
  const inFlight = new Map<readonly Outgoing[], readonly string[]>()

  return {
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
  }
}
