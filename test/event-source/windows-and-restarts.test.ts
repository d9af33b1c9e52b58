import { cp } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Checkpoint } from '../../src/consumers/checkpoints.ts'
import { openLmdbCheckpoints } from '../../src/consumers/lmdb-checkpoints.ts'
import type { MappingSettings } from '../../src/event-source/mapping-settings.ts'
import { temporaryFolder } from '../consumers/consumer-parts.ts'
import { collected, createTestShard, failed, returned, settle, textsIn } from './shard-parts.ts'
import type { ShardRun, TestCall } from './shard-parts.ts'

const fixtures = path.resolve(import.meta.dirname, '../fixtures/checkpoints')

type TestShard = ReturnType<typeof createTestShard>

const windows: Partial<MappingSettings> = { TumblingWindowInSeconds: 10 }
const sequenceNumber = (shard: TestShard, index: number) => shard.records[index]?.sequenceNumber

/** Reads, answers every call by `answer`, and flushes, until nothing happens any more. */
async function work(
  shard: TestShard,
  run: ShardRun,
  answer: (call: TestCall) => Parameters<TestCall['answer']>[0] = ({ event }) => collected(event),
): Promise<TestCall['event'][]> {
  const events: TestCall['event'][] = []
  run.read()
  for (;;) {
    await settle()
    const [call] = run.calls
    if (call) {
      events.push(call.event)
      call.answer(answer(call))
    } else if (!shard.flush()) return events
  }
}

async function stop(shard: TestShard, run: ShardRun): Promise<void> {
  run.stopping.abort()
  await settle()
  for (;;) {
    if (!shard.flush()) break
    await settle()
  }
  await run.done
}

const isoOf = (timeMs: number) => new Date(timeMs).toISOString().replace('.000Z', 'Z')
const windowOf = ({ window, state }: TestCall['event']) => [window.start, state.texts]
const finals = (events: readonly TestCall['event'][]) =>
  events.flatMap(({ isFinalInvokeForWindow, state }) =>
    isFinalInvokeForWindow ? [state.texts ?? []] : [],
  )

/** Partition keys of the first and of the second of two parallel batches. */
const [first, second] = ['b', 'a']
const two = { ...windows, ParallelizationFactor: 2, BatchSize: 1 }

/** A function that fails on the record of this text. */
const failingOn =
  (text: string) =>
  ({ event }: TestCall) =>
    textsIn(event).includes(text) ? failed : collected(event)

const failingFinals = ({ event }: TestCall) =>
  event.isFinalInvokeForWindow ? failed : collected(event)

/** Works until the shard is quiet, and again when its window is over. */
async function workToTheEnd(shard: TestShard, run: ShardRun) {
  const events = await work(shard, run)
  shard.clock.advance(60_000)
  return [...events, ...(await work(shard, run))]
}

describe('after a restart', () => {
  test('a window that is over is not finished again while the shard is quiet', async () => {
    const shard = createTestShard()
    shard.put('1')
    const run = shard.start(windows)
    await work(shard, run)
    await stop(shard, run)
    shard.clock.advance(60_000)
    const rounds: unknown[] = []
    for (let start = 0; start < 3; start++) {
      const next = shard.start(windows)
      rounds.push(...finals(await work(shard, next)))
      await stop(shard, next)
    }
    expect(rounds).toEqual([['1']])
  })

  test('a final invocation that was answered during the stop is not repeated', async () => {
    const shard = createTestShard()
    shard.put('1')
    const run = shard.start(windows)
    await work(shard, run)
    shard.clock.advance(60_000)
    run.read()
    await settle()
    const [call] = run.calls
    expect(call?.event.isFinalInvokeForWindow).toBe(true)
    run.stopping.abort()
    call?.answer(returned({ state: {} }))
    await stop(shard, run)
    expect(finals(await work(shard, shard.start(windows)))).toEqual([])
  })

  test('records that one parallel batch finished ahead of another are counted once', async () => {
    const shard = createTestShard()
    shard.put('0', first)
    shard.put('slow', second)
    shard.put('1', first)
    shard.put('2', first)
    const run = shard.start(two)
    await work(shard, run, failingOn('slow'))
    shard.crash()
    const events = await workToTheEnd(shard, shard.start(two))
    expect(finals(events).flat().toSorted()).toEqual(['0', '1', '2', 'slow'])
  })

  test('the finished half of a batch is in the state of its window', async () => {
    const shard = createTestShard()
    const halves = { ...two, BatchSize: 2, BisectBatchOnFunctionError: true }
    shard.put('1', second)
    shard.put('poison', second)
    shard.put('2', first)
    const run = shard.start(halves)
    await work(shard, run, failingOn('poison'))
    shard.crash()
    const events = await workToTheEnd(shard, shard.start(halves))
    expect(finals(events).flat().toSorted()).toEqual(['1', '2', 'poison'])
  })

  test.each([
    ['more', 2, 3],
    ['fewer', 3, 1],
  ])('with %s parallel batches every record is counted once', async (_, before, after) => {
    const shard = createTestShard()
    const one = { ...windows, BatchSize: 1 }
    for (const text of ['1', '2', '3', '4', '5', '6']) shard.put(text, text)
    await work(shard, shard.start({ ...one, ParallelizationFactor: before }), failingOn('3'))
    shard.crash()
    const settings = { ...one, ParallelizationFactor: after }
    // The second crash comes before the slow record is finished, too.
    const events = await work(shard, shard.start(settings), failingOn('3'))
    shard.crash()
    events.push(...(await workToTheEnd(shard, shard.start(settings))))
    expect(finals(events).flat().toSorted()).toEqual(['1', '2', '3', '4', '5', '6'])
  })
})

describe('a final invocation that fails', () => {
  const destination = { DestinationConfig: { OnFailure: { Destination: 'arn:aws:s3:::b' } } }

  test.each([
    ['retries', { MaximumRetryAttempts: 1 }, 'RetryAttemptsExhausted'],
    ['age', { MaximumRecordAgeInSeconds: 60 }, 'RecordAgeExceeded'],
  ])('obeys the limit on %s, and the shard goes on', async (_, limits, condition) => {
    const shard = createTestShard()
    shard.put('1')
    shard.put('2')
    const run = shard.start({ ...windows, ...limits, ...destination })
    await work(shard, run)
    shard.clock.advance(11_000)
    for (let round = 0; round < 10; round++) {
      await work(shard, run, failingFinals)
      shard.clock.advance(10_000)
    }
    expect(shard.given).toMatchObject([
      {
        requestContext: { condition },
        KinesisBatchInfo: {
          startSequenceNumber: sequenceNumber(shard, 0),
          endSequenceNumber: sequenceNumber(shard, 1),
          batchSize: 2,
        },
      },
    ])
    expect(shard.logLines).toContainEqual(expect.objectContaining({ condition, records: 2 }))
    shard.put('3')
    expect((await work(shard, run)).map(textsIn)).toEqual([['3']])
  })
})

test('with a filter and a window the checkpoint moves while nothing passes', async () => {
  const shard = createTestShard()
  shard.put('1')
  shard.put('2')
  const run = shard.start(windows, [() => false])
  expect(await work(shard, run)).toEqual([])
  expect(shard.disk()).toMatchObject({ kind: 'after', sequenceNumber: sequenceNumber(shard, 1) })
})

test('a record that arrived before its window is in a window of its own', async () => {
  const shard = createTestShard()
  const startMs = shard.clock.wallMs()
  shard.clock.setWall(startMs + 15_000)
  shard.put('later')
  shard.clock.setWall(startMs + 5_000)
  shard.put('earlier')
  const events = await workToTheEnd(shard, shard.start(windows))
  expect(events.filter((event) => event.isFinalInvokeForWindow).map(windowOf)).toEqual([
    [isoOf(startMs + 10_000), ['later']],
    [isoOf(startMs), ['earlier']],
  ])
})

describe('an open window', () => {
  test.each([
    ['of another length', { TumblingWindowInSeconds: 30 }],
    ['of a mapping without windows', { TumblingWindowInSeconds: 0 }],
  ])('gets its final invocation when the mapping changes: now %s', async (_, changed) => {
    const shard = createTestShard()
    shard.put('1')
    const run = shard.start(windows)
    await work(shard, run)
    await stop(shard, run)
    const next = shard.start(changed)
    const [event, ...others] = await work(shard, next)
    expect(event).toMatchObject({
      state: { texts: ['1'] },
      isFinalInvokeForWindow: true,
      isWindowTerminatedEarly: true,
    })
    expect(others).toEqual([])
    await stop(shard, next)
    expect(await work(shard, shard.start(changed))).toEqual([])
  })

  test('of release 0.1.0 goes on, in each of its parallel batches', async () => {
    const shard = createTestShard()
    for (const text of ['1', '3']) shard.put(text, second)
    for (const text of ['2', '4']) shard.put(text, first)
    shard.setDisk(await checkpointOfRelease('0.1.0'))
    shard.put('5', second)
    shard.put('6', first)
    const texts = finals(await workToTheEnd(shard, shard.start(two)))
    expect(texts.map((each) => each.join(' ')).toSorted()).toEqual(['1 3 5', '2 4 6'])
  })
})

/**
 * What that release stored in the window that began at the start of the test's clock: the records
 * 1 and 3 in one parallel batch, 2 and 4 in the other.
 */
async function checkpointOfRelease(release: string): Promise<Checkpoint> {
  const folder = path.join(temporaryFolder(), 'checkpoints')
  await cp(path.join(fixtures, release), folder, { recursive: true })
  const checkpoints = await openLmdbCheckpoints(folder)
  const byShard = await checkpoints.load({
    application: 'event-source-mapping/u',
    streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
    streamCreatedMs: Date.UTC(2026, 0, 1),
  })
  await checkpoints.close()
  const found = byShard.get('shardId-000000000000')
  if (!found) throw new Error(`there is no checkpoint of ${release}`)
  return found
}

test('a node whose lease is over begins no invocation, although nothing has told it', async () => {
  const shard = createTestShard()
  for (const text of ['a', 'b']) shard.put(text)
  let isHeld = true
  const run = shard.start({ BatchSize: 1 }, [], () => isHeld)
  run.read()
  await settle()
  const [call] = run.calls
  // It stood still during the first invocation.
  isHeld = false
  call?.answer(returned(null))
  await settle()
  expect(run.calls).toEqual([])
  while (shard.flush()) await settle()
  expect(await run.done).toBeUndefined()
  expect(shard.disk()).toMatchObject({ sequenceNumber: sequenceNumber(shard, 0) })
})
