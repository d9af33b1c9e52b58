import type { UserRecord } from './aggregated-records.ts'

/** A record as the handler gets it. */
export interface ConsumedRecord extends UserRecord {
  readonly shardId: string
}

/** Some records of one shard, in order. */
export interface ConsumedBatch {
  readonly shardId: string
  /** At least one. */
  readonly records: readonly ConsumedRecord[]
  /** How far behind the tip of the shard the batch is, in milliseconds; 0: it is the tip. */
  readonly millisBehindLatest: number
  /** Aborts when the consumer is to stop. A handler that ends well is still checkpointed. */
  readonly signal: AbortSignal
}

/** Called for one batch of a shard at a time, for several shards side by side. */
export type RecordsHandler = (batch: ConsumedBatch) => void | Promise<void>
