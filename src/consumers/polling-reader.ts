import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { nameOf } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { childrenOf, recordOf } from './kinesis-shapes.ts'
import { createShardReader } from './shard-reader.ts'
import type { ReadOnce, ShardPosition, ShardRead, ShardReader } from './shard-reader.ts'

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
const backoffOptions = {
  firstDelayMs: 500,
  delayMsMax: 10_000,
  text: 'a shard cannot be read now; the read is retried',
}

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

  function open(shardId: string): ReadOnce {
    // It outlives failed attempts, because requests for iterators are limited too.
    let iterator: string | undefined

    async function readNext(from: ShardPosition, signal: AbortSignal): Promise<GetRecordsOutput> {
      iterator ??= await reads.shardIterator(shardId, from, signal)
      try {
        return await reads.getRecords(iterator, recordsMax, signal)
      } catch (thrown) {
        if (nameOf(thrown) === 'ExpiredIteratorException') iterator = undefined
        throw thrown
      }
    }

    return async function* readOnce(from, signal) {
      let position: ShardPosition | undefined
      while (!signal.aborted) {
        const startedMs = clock.monotonicMs()
        const asOfMs = clock.wallMs()
        const answer = await readNext(position ?? from, signal)
        const read = readOf(answer, { asOfMs, readMs: startedMs })
        const last = read.records.at(-1)
        if (last) {
          position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: last.sequenceNumber }
        }
        iterator = answer.NextShardIterator || undefined
        yield { read, position }
        const pauseMs = pauseAfter(read, pollIntervalMs) - (clock.monotonicMs() - startedMs)
        if (pauseMs > 0) await clock.sleep(pauseMs, signal)
      }
    }
  }

  return createShardReader(dependencies, backoffOptions, open)
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
