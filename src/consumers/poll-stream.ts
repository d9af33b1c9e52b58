import type { Clock } from '../clock.ts'
import type { ShardStart, StreamReader } from './read-records.ts'

/** A record as it stands in a stream. */
export interface ConsumedRecord {
  readonly shardId: string
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly data: Buffer
  readonly arrivedAtMs: number
}

export interface PollOptions {
  readonly streamName: string
  readonly start: 'TRIM_HORIZON' | 'LATEST'
  /** Ends the polling; calls under way are finished and their records given. */
  readonly signal: AbortSignal
  /** Called in the order of each shard; the next poll of the shard waits for it. */
  readonly onRecords: (records: readonly ConsumedRecord[]) => void | Promise<void>
}

/** Kinesis allows 5 GetRecords a second and shard, for all consumers together. */
const pollIntervalMs = 500
const backoffMs = 2_000

/**
 * A plain polling reader: every shard that the stream has at the start, each from `start` on.
 *
 * @returns when `signal` aborts or every shard is closed and read to its end
 * @throws what the Kinesis client throws, but for throttling and expired iterators, which it
 *   waits out and renews
 */
export async function pollStream(
  reader: StreamReader,
  clock: Clock,
  options: PollOptions,
): Promise<void> {
  const shardIds = await reader.listShards(options.streamName)
  // A shard that fails ends the others too: half a stream read is worse than a clear error.
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const results = await Promise.allSettled(
    shardIds.map((shardId) =>
      pollShard(reader, clock, { ...options, signal }, shardId).catch((thrown: unknown) => {
        failed.abort()
        throw thrown
      }),
    ),
  )
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

async function pollShard(
  reader: StreamReader,
  clock: Clock,
  options: PollOptions,
  shardId: string,
): Promise<void> {
  let start: ShardStart = { type: options.start }
  let iterator: string | undefined = await reader.shardIterator(options.streamName, shardId, start)
  while (iterator && !options.signal.aborted) {
    try {
      const answer = await reader.getRecords(iterator)
      const records = (answer.Records ?? []).map((record): ConsumedRecord => ({
        shardId,
        sequenceNumber: record.SequenceNumber ?? '',
        partitionKey: record.PartitionKey ?? '',
        data: Buffer.from(record.Data ?? []),
        arrivedAtMs: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
      }))
      if (records.length > 0) await options.onRecords(records)
      const last = records.at(-1)
      if (last) start = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: last.sequenceNumber }
      iterator = answer.NextShardIterator
      await clock.sleep(pollIntervalMs, options.signal)
    } catch (thrown) {
      const name = thrown instanceof Error ? thrown.name : ''
      if (name === 'ExpiredIteratorException') {
        iterator = await reader.shardIterator(options.streamName, shardId, start)
      } else if (name === 'ProvisionedThroughputExceededException') {
        await clock.sleep(backoffMs, options.signal)
      } else {
        throw thrown
      }
    }
  }
}
