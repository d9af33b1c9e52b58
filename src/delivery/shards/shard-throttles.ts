/**
 * Which shards of a stream are throttled, until when, and how much each may be sent after that. No
 * I/O, no clock: times are handed in.
 *
 *                  .-- throttled ---.                 .--- taken whole: twice as much --.
 *                  v                |                 v                                 |
 *     open ---> paused ---due---> trying ---one call at a time, `recordsMax` of the shard
 *       ^                                                                               |
 *       '-------------------------------------------- taken whole, so much fills a call-'
 *
 * Invariants:
 * - A paused shard is sent nothing. The pause grows with the throttles in a row, of which one that
 *   took some records of the call begins a new row.
 * - After a pause one call at a time holds records of the shard, at first half as many as it took
 *   of the call that it throttled. So what has piled up does not run into the next throttle.
 * - Calls that were under way when a shard was paused tell nothing new about it, whatever they bring:
 *   a call carries the generation in which it was begun, and each pause begins a generation.
 * - A shard that is open costs nothing: no state, and no question which records are its own.
 */
import { retryDelayMs } from '../call/retry.ts'
import type { Outgoing } from '../call/outgoing.ts'
import type { ShardMap } from './shard-map.ts'

/** What became of the records of one shard in one call. */
interface ShardOutcome {
  readonly delivered: number
  readonly throttled: number
}

/** What a queue asks. */
export interface ShardRoom {
  /** False while no shard is throttled: then there is room for everything. */
  any(): boolean
  /** How many shards are throttled. */
  count(): number
  isThrottled(shardId: string): boolean
  /** How many records of the shard a call that starts at `nowMs` may hold. */
  recordsMax(shardId: string, nowMs: number): number
  /** When a throttled shard may be tried; undefined when it is open, or being tried. */
  dueMs(shardId: string): number | undefined
  /** A call with records of the shard starts, and ends. */
  began(shardId: string): void
  ended(shardId: string): void
}

export interface ShardThrottles extends ShardRoom {
  /** To be handed back with what became of a call that begins now. */
  generation(): number
  /** @returns whether the shard was paused because of it */
  answered(shardId: string, outcome: ShardOutcome, generation: number, nowMs: number): boolean
  /** Forgets the shards that are not kept: they are closed. */
  keep(isKept: (shardId: string) => boolean): void
  /** The shards that are throttled now. */
  throttled(): readonly string[]
}

interface Throttle {
  /** The first generation after the last pause began. */
  generation: number
  inARow: number
  dueMs: number
  recordsMax: number
  isInFlight: boolean
}

/** So much of one shard makes a full call: it is no longer held back. */
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
interface ShardCalls {
  begin(nowMs: number): ShardCall
  /** A call ends. `taken` is the very list that it was started with. */
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
