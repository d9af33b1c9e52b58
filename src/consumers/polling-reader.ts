import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { createRetryBackoff, isRetryable, nameOf } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { childrenOf, recordOf } from './kinesis-shapes.ts'
import type { ShardPosition, ShardRead, ShardReader } from './shard-reader.ts'

interface PollingOptions {
  /** Milliseconds from one read of a shard to the next at the tip of the shard. */
  readonly pollIntervalMs: number
  /** The limit of records in one GetRecords, at most 10,000. */
  readonly recordsMax: number
}

/** A shard serves 5 reads a second to all of its readers (Developer Guide, "Quotas and limits"). */
const readIntervalMsMin = 210
/** A shard serves so many bytes a second; a larger read is followed by a longer pause. */
const bytesPerSecond = 2 * 1024 * 1024
const retryDelaysMs = { firstDelayMs: 500, delayMsMax: 10_000 }

/** Reads shards by GetRecords. */
export function createPollingReader(
  dependencies: {
    readonly reads: Pick<KinesisReads, 'shardIterator' | 'getRecords'>
    readonly clock: Clock
    readonly logger: WarningLog
  },
  { pollIntervalMs, recordsMax }: PollingOptions,
): ShardReader {
  const { reads, clock } = dependencies

  async function* read(
    shardId: string,
    from: ShardPosition,
    signal: AbortSignal,
  ): AsyncGenerator<ShardRead, void> {
    const backoff = createRetryBackoff(dependencies, {
      ...retryDelaysMs,
      text: 'a shard cannot be read now; the read is retried',
      fields: { shardId },
    })
    let position = from
    let iterator: string | undefined
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs()
      const asOfMs = clock.wallMs()
      let answer: GetRecordsOutput
      try {
        iterator ??= await reads.shardIterator(shardId, position, signal)
        answer = await reads.getRecords(iterator, recordsMax, signal)
      } catch (thrown) {
        if (signal.aborted) return
        if (nameOf(thrown) === 'ExpiredIteratorException') iterator = undefined
        else if (!isRetryable(thrown)) throw thrown
        await backoff.afterFailure(thrown, signal)
        continue
      }
      backoff.reset()
      const next = readOf(answer, { asOfMs, readMs: startedMs })
      const last = next.records.at(-1)
      if (last) {
        position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: last.sequenceNumber }
      }
      iterator = answer.NextShardIterator || undefined
      yield next
      if (next.end) return
      const pauseMs = pauseAfter(next, pollIntervalMs) - (clock.monotonicMs() - startedMs)
      if (pauseMs > 0) await clock.sleep(pauseMs, signal)
    }
  }
  return { read }
}

function readOf(answer: GetRecordsOutput, times: Pick<ShardRead, 'asOfMs' | 'readMs'>): ShardRead {
  const isEnd = !answer.NextShardIterator
  return {
    records: (answer.Records ?? []).map(recordOf),
    millisBehindLatest: answer.MillisBehindLatest ?? 0,
    ...times,
    ...(isEnd && { end: { children: childrenOf(answer.ChildShards ?? []) } }),
  }
}

/** Behind the tip, the pause is as short as the limits of the shard allow. */
function pauseAfter({ records, millisBehindLatest }: ShardRead, pollIntervalMs: number): number {
  const sizeBytes = records.reduce((sum, { data }) => sum + data.length, 0)
  const paidAfterMs = (sizeBytes / bytesPerSecond) * 1_000
  const wantedMs = millisBehindLatest > 0 ? readIntervalMsMin : pollIntervalMs
  return Math.max(readIntervalMsMin, wantedMs, paidAfterMs)
}
