import type { UserRecord } from './aggregate.ts'

/** A record as the handler receives it. */
export interface ConsumedRecord extends UserRecord {
  readonly shardId: string
}

/** Consecutive records of one shard, in order. */
export interface ConsumedBatch {
  readonly shardId: string
  /** At least one record. */
  readonly records: readonly ConsumedRecord[]
  /** How far the batch is behind the tip of the shard, in milliseconds; 0 at the tip. */
  readonly millisBehindLatest: number
  /** Aborts when the consumer stops. A batch whose handler still succeeds is checkpointed. */
  readonly signal: AbortSignal
}

/** Called for one batch of a shard at a time, and for several shards concurrently. */
export type RecordsHandler = (batch: ConsumedBatch) => void | Promise<void>
