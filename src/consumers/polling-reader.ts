import type { GetRecordsOutput } from '@aws-sdk/client-kinesis'
import { nameOf } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { childrenOf, recordOf } from './kinesis-shapes.ts'
import { readTurnsOf } from './read-turns.ts'
import { createShardReader } from './shard-reader.ts'
import type {
  ReadOnce,
  ShardPosition,
  ShardRead,
  ShardReader,
  ShardReaderDependencies,
} from './shard-reader.ts'

interface PollingOptions {
  /** Milliseconds from one read of a shard to the next at the tip of the shard. */
  readonly pollIntervalMs: number
  /** The limit of records in one GetRecords, at most 10,000. */
  readonly recordsMax: number
}

/** Random, because processes that poll in step would throttle the same readers again and again. */
const pollJitterShare = 0.2
const backoffOptions = {
  firstDelayMs: 500,
  delayMsMax: 10_000,
  text: 'a shard cannot be read now; the read is retried',
}

/** Reads shards by GetRecords. */
export function createPollingReader(
  dependencies: ShardReaderDependencies & {
    readonly reads: Pick<
      KinesisReads,
      'nameOfShard' | 'serviceNowMs' | 'shardIterator' | 'getRecords'
    >
  },
  { pollIntervalMs, recordsMax }: PollingOptions,
): ShardReader {
  const { reads, clock } = dependencies
  const turns = readTurnsOf(clock)

  function open(shardId: string): ReadOnce {
    // It outlives failed attempts, because requests for iterators are limited too.
    let iterator: string | undefined

    /** The iterator for the next read, when it is the turn of this reader. */
    async function nextIterator(from: ShardPosition, signal: AbortSignal): Promise<string> {
      const shard = reads.nameOfShard(shardId)
      if (iterator === undefined) {
        // Requests for iterators have a limit of their own, which is as low.
        await turns.take(`iterator/${shard}`, signal)
        iterator = await reads.shardIterator(shardId, from, signal)
        if (from.type === 'LATEST') from.onTaken?.()
      }
      await turns.take(shard, signal)
      return iterator
    }

    async function readNext(from: ShardPosition, signal: AbortSignal): Promise<ShardRead> {
      const current = await nextIterator(from, signal)
      const times = { asOfMs: reads.serviceNowMs(), readMs: clock.monotonicMs() }
      try {
        const answer = await reads.getRecords(current, recordsMax, signal)
        iterator = answer.NextShardIterator || undefined
        return readOf(answer, times)
      } catch (thrown) {
        if (nameOf(thrown) === 'ExpiredIteratorException') iterator = undefined
        throw thrown
      }
    }

    return async function* readOnce(from, signal) {
      let position: ShardPosition | undefined
      while (!signal.aborted) {
        const read = await readNext(position ?? from, signal)
        const last = read.records.at(-1)
        if (last) {
          position = { type: 'AFTER_SEQUENCE_NUMBER', sequenceNumber: last.sequenceNumber }
        }
        turns.spend(reads.nameOfShard(shardId), bytesOf(read))
        yield { read, position }
        // Behind the tip only the limits of the shard hold the next read back.
        if (read.millisBehindLatest > 0) continue
        const intervalMs = pollIntervalMs * (1 + pollJitterShare * (Math.random() - 0.5))
        const pauseMs = intervalMs - (clock.monotonicMs() - read.readMs)
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

const bytesOf = ({ records }: ShardRead) => records.reduce((sum, { data }) => sum + data.length, 0)
