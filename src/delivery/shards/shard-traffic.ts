import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type { Outgoing } from '../call/outgoing.ts'

/** What was sent to each shard of a stream in the last minute, counted after somebody asked. */
interface ShardTraffic {
  /** Whether anybody has asked lately. While it is false, nothing is to be noted. */
  readonly active: boolean
  /** Counts the delivered records of a call. */
  note(items: readonly Outgoing[], outcome: CallOutcome, nowMs: number): void
  /** Counts from now on, unless it does already. All times are by the monotonic clock. */
  look(nowMs: number): SeenTraffic
}

interface SeenTraffic {
  /** When counting began. */
  readonly sinceMs: number
  readonly byShard: ReadonlyMap<string, SentInMinute>
}

export interface SentInMinute {
  readonly records: number
  /** Of data and partition keys. */
  readonly bytes: number
}

const secondMs = 1_000
const seconds = 60
/** Counting ends this long after somebody last asked. */
const watchedMs = 120_000
/** Shards that are counted; a stream may have more over its life. */
const shardsMax = 10_000

/** Sums by second: index is the second modulo 60. */
interface Sums {
  readonly secondOf: number[]
  readonly records: number[]
  readonly bytes: number[]
}

export function createShardTraffic(): ShardTraffic {
  const shards = new Map<string, Sums>()
  let lookedMs = -Infinity
  let sinceMs = 0

  const self: ShardTraffic & { active: boolean } = {
    active: false,
    note(items, outcome, nowMs) {
      if (nowMs - lookedMs > watchedMs) {
        self.active = false
        shards.clear()
        return
      }
      if (!outcome.answered) return
      const second = Math.floor(nowMs / secondMs)
      for (const [index, result] of outcome.records.entries()) {
        const shardId = result.ok ? result.shardId : undefined
        if (shardId === undefined) continue
        const sums = shards.get(shardId) ?? newSums()
        if (shards.size < shardsMax) shards.set(shardId, sums)
        add(sums, second, items[index]?.record.bytes ?? 0)
      }
    },
    look(nowMs) {
      lookedMs = nowMs
      if (!self.active) {
        self.active = true
        sinceMs = nowMs
        shards.clear()
      }
      const second = Math.floor(nowMs / secondMs)
      const byShard = new Map([...shards].map(([id, sums]) => [id, sumOf(sums, second)]))
      return { sinceMs, byShard }
    },
  }
  return self
}

const newSums = (): Sums => ({ secondOf: [], records: [], bytes: [] })

function add({ secondOf, records, bytes }: Sums, second: number, size: number): void {
  const slot = second % seconds
  const isSame = secondOf[slot] === second
  secondOf[slot] = second
  records[slot] = (isSame ? (records[slot] ?? 0) : 0) + 1
  bytes[slot] = (isSame ? (bytes[slot] ?? 0) : 0) + size
}

function sumOf({ secondOf, records, bytes }: Sums, second: number): SentInMinute {
  const sum = { records: 0, bytes: 0 }
  secondOf.forEach((of, slot) => {
    if (of <= second - seconds) return
    sum.records += records[slot] ?? 0
    sum.bytes += bytes[slot] ?? 0
  })
  return sum
}
