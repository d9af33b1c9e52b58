import type { Clock } from '../../base/clock.ts'
import type { StreamDestination } from '../../outbox/outbox.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { KinesisCalls, ShardRange } from '../../aws/kinesis-calls.ts'
import type { CallOutcome, RecordOutcome } from '../../aws/call/call-outcome.ts'
import type { Failure } from '../../aws/call/failure-class.ts'
import type { Outgoing } from '../call/outgoing.ts'
import { isShardThrottle } from '../../aws/call/failure-class.ts'
import type { QueueShards } from './shard-throttles.ts'
import { createShardList } from './shard-list.ts'
import type { ShardMap } from './shard-map.ts'
import { createShardThrottles, noShards } from './shard-throttles.ts'
import { createShardTraffic } from './shard-traffic.ts'
import type { SentInMinute } from './shard-traffic.ts'

/**
 * Learns from the answers of Kinesis which shards are throttled. The stream's shards are listed
 * only after the first throttle. When the role denies ListShards, no shard is ever known, and each
 * throttled record has a delay of its own.
 */
export interface ShardWatch extends QueueShards {
  /** The generation of a call that starts now. The caller returns it with the call's outcome. */
  generation(): number
  answered(items: readonly Outgoing[], outcome: CallOutcome, generation: number): void
  /** True when a throttled record waits for its shard and needs no delay of its own. */
  knowsShardOf(outgoing: Outgoing): boolean
  throttled(): readonly string[]
  /**
   * What is known of the shards. From now on it is counted for a while what each is sent.
   *
   * @param asks whether Kinesis may be asked for the shards of the stream
   */
  readonly look: (asks: boolean) => SeenShards
}

/** The shards of a stream, as the API shows them. Times are of the monotonic clock. */
export interface SeenShards {
  /** Whether the shards could be listed: without that, only those that took records are known. */
  readonly isListed: boolean
  readonly countedSinceMs: number
  readonly shards: readonly SeenShard[]
}

interface SeenShard {
  readonly shardId: string
  /** Absent when the shards could not be listed. */
  readonly range?: ShardRange | undefined
  readonly sent: SentInMinute
  readonly isThrottled: boolean
  /** When a throttled shard is tried again; absent while it is being tried. */
  readonly dueMs?: number | undefined
}

interface ShardWatchDependencies {
  readonly destination: StreamDestination
  readonly calls: Pick<KinesisCalls, 'listShards'>
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
}

export function createShardWatch(dependencies: ShardWatchDependencies): ShardWatch {
  const { clock, destination, random } = dependencies
  const { streamName, streamArn } = destination
  const throttles = createShardThrottles(random)
  const traffic = createShardTraffic()
  const list = createShardList({
    ...dependencies,
    stream: { streamName, streamArn },
    onLearned: (map) => throttles.keep((shardId) => map.has(shardId)),
  })

  return {
    room: throttles,
    map: () => list.map(),
    generation: () => throttles.generation(),
    throttled: () => throttles.throttled(),
    knowsShardOf: ({ record }: Outgoing) => list.map()?.shardOfRecord(record) !== undefined,
    look(asks) {
      if (asks) list.wanted(false)
      const { sinceMs: countedSinceMs, byShard } = traffic.look(clock.monotonicMs())
      const ranges = new Map(list.map()?.ranges.map((range) => [range.shardId, range]))
      const ids = new Set([...ranges.keys(), ...byShard.keys(), ...throttles.throttled()])
      const shards = [...ids].map((shardId) => ({
        shardId,
        range: ranges.get(shardId),
        sent: byShard.get(shardId) ?? { records: 0, bytes: 0 },
        isThrottled: throttles.isThrottled(shardId),
        dueMs: throttles.dueMs(shardId),
      }))
      return { isListed: ranges.size > 0, countedSinceMs, shards }
    },
    answered(items: readonly Outgoing[], outcome: CallOutcome, generation: number) {
      if (traffic.active) traffic.note(items, outcome, clock.monotonicMs())
      const hasThrottle = throttlesAnyOf(items, outcome)
      if (!hasThrottle && !throttles.any()) return
      const map = list.map()
      const { byShard, isStale } = countByShard(items, outcome, map)
      const nowMs = clock.monotonicMs()
      for (const [shardId, counts] of byShard)
        throttles.answered(shardId, counts, generation, nowMs)
      // Also without a throttle in this answer: a stream made anew may have lost the shard.
      list.wanted(isStale)
    },
  }
}

/** For a destination that has no shards. */
export const withoutShards: ShardWatch = Object.freeze({
  ...noShards,
  generation: () => 0,
  answered: () => undefined,
  knowsShardOf: () => false,
  throttled: () => [],
  look: () => ({ isListed: false, countedSinceMs: 0, shards: [] }),
})

/** The outcomes of the records. A call that failed as a whole has one: it was a PutRecord. */
function resultsOf(outcome: CallOutcome): readonly RecordOutcome[] {
  return outcome.answered ? outcome.records : [{ ok: false, failure: outcome.failure }]
}

function isThrottled(result: RecordOutcome): boolean {
  return !result.ok && isShardThrottle(result.failure)
}

function throttlesAnyOf(items: readonly Outgoing[], outcome: CallOutcome): boolean {
  if (outcome.answered) return outcome.records.some(isThrottled)
  return items.length === 1 && isShardThrottle(outcome.failure)
}

interface Counts {
  delivered: number
  throttled: number
}

/** Counts outcomes by shard. `isStale`: the answer named another shard than the map does. */
function countByShard(
  items: readonly Outgoing[],
  outcome: CallOutcome,
  map: ShardMap | undefined,
): { readonly byShard: ReadonlyMap<string, Counts>; readonly isStale: boolean } {
  const byShard = new Map<string, Counts>()
  let isStale = false
  if (map === undefined || (!outcome.answered && items.length > 1)) return { byShard, isStale }
  for (const [index, result] of resultsOf(outcome).entries()) {
    const item = items[index]
    if (item === undefined || !(result.ok || isThrottled(result))) continue
    const namedId = result.ok ? result.shardId : shardNamedBy(result.failure)
    const mappedId = map.shardOfRecord(item.record)
    isStale ||= namedId !== undefined && namedId !== mappedId
    const shardId = result.ok ? result.shardId : mappedId
    if (shardId === undefined) continue
    const counts = byShard.get(shardId) ?? { delivered: 0, throttled: 0 }
    counts[result.ok ? 'delivered' : 'throttled'] += 1
    byShard.set(shardId, counts)
  }
  return { byShard, isStale }
}

/** The message of a throttle names the shard (Kinesis API Reference, PutRecords). */
function shardNamedBy({ message }: Failure): string | undefined {
  return /\bshardId-\d{12}\b/.exec(message)?.[0]
}
