/** What the producer needs of Kinesis: one call, and for each record of it what became of it. */

/** More than the shards that an account of AWS has by default in any region. */
export const shardsListedMax = 20_000

/** The operations that write. A role written for AWS IoT may allow the first alone. */
export type PutOperation = 'PutRecord' | 'PutRecords'

/** A record as Kinesis takes it. */
export interface OutgoingRecord {
  readonly partitionKey: string
  readonly explicitHashKey?: string
  readonly data: Buffer
}

/** Why a record, or a whole call, was not taken. */
export interface Failure {
  /** The error code of the service, the code of a network error, or the name of what was thrown. */
  readonly code: string
  readonly message: string
  /** Who failed: STS when the role was to be assumed, or Kinesis. */
  readonly source: 'AssumeRole' | 'Kinesis'
  /** The HTTP status, when there was an answer to the whole call. */
  readonly status?: number
}

export type RecordOutcome =
  | { readonly ok: true; readonly shardId: string; readonly sequenceNumber: string }
  | { readonly ok: false; readonly failure: Failure }

/**
 * An answered call holds an outcome for each record, in their order: that it was answered does not
 * mean that any record was taken. A failed call took none, as far as can be known.
 */
export type CallOutcome =
  | { readonly answered: true; readonly records: readonly RecordOutcome[] }
  | { readonly answered: false; readonly failure: Failure }

/** A stream by its name in the account of the caller, or by its ARN in any. */
export interface StreamReference {
  readonly streamName: string
  readonly streamArn?: string
}

/** An open shard and the hash keys that are its own, both ends included: 0 to 2^128 - 1. */
export interface ShardRange {
  readonly shardId: string
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
}

export type ShardListing =
  | { readonly listed: true; readonly shards: readonly ShardRange[] }
  | { readonly listed: false; readonly failure: Failure }

export interface PutRequest extends StreamReference {
  readonly operation: PutOperation
  /** One for PutRecord, 1 to 500 for PutRecords. */
  readonly records: readonly OutgoingRecord[]
  readonly signal: AbortSignal
}

/** The calls of one region and role. */
export interface KinesisCalls {
  /** Never rejects. */
  put(request: PutRequest): Promise<CallOutcome>
  /** The size of a record that the stream takes; undefined when that cannot be read. Never rejects. */
  recordBytesMax(stream: StreamReference): Promise<number | undefined>
  /**
   * The open shards of a stream, at most `shardsListedMax`: a failure where there are more. Never
   * rejects.
   */
  listShards(stream: StreamReference, signal: AbortSignal): Promise<ShardListing>
}
