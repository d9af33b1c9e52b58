import { expect, onTestFinished, test } from 'vitest'
import { createKinesisReads } from '../../src/consumers/kinesis-reads.ts'
import { nameOf } from '../../src/consumers/retry-backoff.ts'
import type { KinesisReads } from '../../src/consumers/kinesis-reads.ts'
import { createPollingReader } from '../../src/consumers/polling-reader.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { allLimits } from '../../src/lab/streams/shard-limits.ts'
import { noDelays, startLab } from '../lab/lab-fixtures.ts'
import { access } from './consumer-parts.ts'

const arn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const shardId = 'shardId-000000000000'

/** Counts the calls that wait for an answer. */
function counted(reads: KinesisReads, calls: { open: number; throttled: number }): KinesisReads {
  const count =
    <Arguments extends unknown[], Answer>(call: (...given: Arguments) => Promise<Answer>) =>
    async (...given: Arguments): Promise<Answer> => {
      calls.open++
      try {
        return await call(...given)
      } catch (thrown) {
        if (nameOf(thrown) === 'ProvisionedThroughputExceededException') calls.throttled++
        throw thrown
      } finally {
        calls.open--
      }
    }
  return {
    ...reads,
    getRecords: count((...given) => reads.getRecords(...given)),
    shardIterator: count((...given) => reads.shardIterator(...given)),
  }
}

/** Lets readers read one shard of a lab whose time is that of the test. */
async function readTogether(processes: readonly number[], durationMs: number) {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: noDelays, limits: allLimits })
  lab.ensureStream('s', 1)
  const calls = { open: 0, throttled: 0 }
  const startMs = clock.monotonicMs()
  // Readers share their turns by their clock, so each process has one of its own.
  const clocks = processes.flatMap((readerCount) => {
    const ofProcess = { ...clock }
    return Array.from({ length: readerCount }, () => ofProcess)
  })
  const stopping = clocks.map(() => new AbortController())
  const readAtMs = clocks.map(() => [startMs])
  const logger = { warn: () => undefined, error: () => undefined }
  const runs = clocks.map(async (ofProcess, index) => {
    const reads = createKinesisReads(access(lab), arn, { clock: ofProcess })
    onTestFinished(() => reads.close())
    const reader = createPollingReader(
      { reads: counted(reads, calls), clock: ofProcess, logger },
      { pollIntervalMs: 1_000, recordsMax: 10_000 },
    )
    const from = { type: 'TRIM_HORIZON' } as const
    const { signal } = stopping[index] ?? new AbortController()
    for await (const read of reader.read(shardId, from, signal)) {
      readAtMs[index]?.push(read.readMs)
    }
  })
  const settle = async () => {
    do {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    } while (calls.open > 0)
  }
  await settle()
  while (clock.monotonicMs() - startMs < durationMs) {
    clock.advance(20)
    await settle()
  }
  const endMs = clock.monotonicMs()
  for (const each of stopping) each.abort()
  await Promise.all(runs)
  const waits = readAtMs.map((times) =>
    Math.max(...[...times, endMs].map((time, index) => time - (times[index - 1] ?? startMs))),
  )
  return {
    longestWaitMs: Math.max(...waits),
    throttled: calls.throttled,
    reads: readAtMs.flat().length,
  }
}

test('eight readers of one shard in one process take turns and are never throttled', async () => {
  const { longestWaitMs, throttled } = await readTogether([8], 60_000)
  expect(longestWaitMs).toBeLessThan(2_500)
  expect(throttled).toBe(0)
}, 60_000)

test('readers of several processes leave each other their reads', async () => {
  const { longestWaitMs } = await readTogether([4, 2, 1, 1], 60_000)
  expect(longestWaitMs).toBeLessThan(20_000)
}, 60_000)
