import { EventEmitter, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createMemoryCheckpoints } from '../../src/consumers/checkpoints.ts'
import { consume } from '../../src/consumers/consume.ts'
import { openLmdbCheckpoints } from '../../src/consumers/lmdb-checkpoints.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import {
  answered,
  access,
  createCollected,
  numbered,
  putTexts,
  startConsumer,
  temporaryFolder,
} from './consumer-parts.ts'

const byNumber = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b))

async function labWith(shardCount: number, texts: readonly string[]) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts)
  return { lab, kinesis }
}

describe('a polling consumer', () => {
  test('gives every record of every shard, each key in order', async () => {
    const { lab, kinesis } = await labWith(3, numbered(300))
    const got = await startConsumer(lab, { stream: 's' })
    await got.handled(300)
    await putTexts(kinesis, 's', numbered(100, 300))
    await got.handled(400)
    expect(byNumber(got.texts())).toEqual(numbered(400))
    for (const key of numbered(10)) {
      const ofKey = got.records.filter(({ partitionKey }) => partitionKey === key)
      const texts = ofKey.map(({ data }) => data.toString())
      expect(texts).toEqual(byNumber(texts))
    }
  })

  test('begins at LATEST with what is written after its start', async () => {
    const { lab, kinesis } = await labWith(2, numbered(10))
    const got = await startConsumer(lab, { stream: 's', from: 'LATEST' })
    await answered(lab, 'GetRecords', 2)
    await putTexts(kinesis, 's', ['10', '11'])
    await got.handled(2)
    expect(byNumber(got.texts())).toEqual(['10', '11'])
  })

  test('begins at a time', async () => {
    const { lab, kinesis } = await labWith(1, ['0'])
    await new Promise((resolve) => setTimeout(resolve, 5))
    const from = new Date()
    await putTexts(kinesis, 's', ['1', '2'])
    const got = await startConsumer(lab, { stream: 's', from })
    await got.handled(2)
    expect(got.texts()).toEqual(['1', '2'])
  })

  test('goes on after its checkpoint, and an application of another name from the start', async () => {
    const { lab, kinesis } = await labWith(2, numbered(20))
    const checkpoints = await openLmdbCheckpoints(temporaryFolder())
    const first = await startConsumer(lab, { stream: 's', checkpoints })
    await first.handled(20)
    await first.consumer.stop()
    await putTexts(kinesis, 's', numbered(5, 20))
    const second = await startConsumer(lab, { stream: 's', checkpoints })
    const other = await startConsumer(lab, { stream: 's', checkpoints, application: 'other' })
    await second.handled(5)
    await other.handled(25)
    expect(byNumber(second.texts())).toEqual(numbered(5, 20))
    await second.consumer.stop()
    await other.consumer.stop()
    await checkpoints.close()
  })

  test('started at LATEST leaves nothing out that came while it was down', async () => {
    const { lab, kinesis } = await labWith(1, ['old'])
    const checkpoints = createMemoryCheckpoints()
    const first = await startConsumer(lab, { stream: 's', from: 'LATEST', checkpoints })
    await first.consumer.stop()
    await putTexts(kinesis, 's', ['1', '2'])
    const second = await startConsumer(lab, { stream: 's', from: 'LATEST', checkpoints })
    await second.handled(2)
    expect(second.texts().slice(-2)).toEqual(['1', '2'])
  })

  test('takes a stream that was deleted and made again for a new one', async () => {
    const checkpoints = createMemoryCheckpoints()
    const { lab } = await labWith(1, ['1', '2'])
    const first = await startConsumer(lab, { stream: 's', checkpoints })
    await first.handled(2)
    await first.consumer.stop()
    const again = await labWith(1, ['3'])
    const second = await startConsumer(again.lab, { stream: 's', checkpoints })
    await second.handled(1)
    expect(second.texts()).toEqual(['3'])
  })

  test.each([
    ['ExpiredIteratorException', 400],
    ['ProvisionedThroughputExceededException', 400],
    ['InternalFailure', 500],
  ])('waits out %s', async (code, status) => {
    const { lab } = await labWith(1, numbered(10))
    lab.faults.add({
      operation: 'GetRecords',
      times: 2,
      effect: { kind: 'error', code, status },
    })
    const got = await startConsumer(lab, { stream: 's' })
    await got.handled(10)
    expect(got.texts()).toEqual(numbered(10))
  })

  test('survives a cut connection and a page of HTML', async () => {
    const { lab } = await labWith(1, numbered(10))
    lab.faults.add({ operation: 'GetRecords', times: 1, effect: { kind: 'dropAnswer' } })
    lab.faults.add({ operation: 'GetRecords', times: 1, effect: { kind: 'html', status: 503 } })
    const got = await startConsumer(lab, { stream: 's' })
    await got.handled(10)
    expect(got.texts()).toEqual(numbered(10))
  })

  test('waits out throttling of its start', async () => {
    const { lab } = await labWith(1, ['0'])
    lab.faults.add({
      operation: 'DescribeStreamSummary',
      times: 2,
      effect: { kind: 'error', code: 'LimitExceededException', status: 400 },
    })
    const got = await startConsumer(lab, { stream: 's' })
    await got.handled(1)
    expect(got.texts()).toEqual(['0'])
  })

  test('fails when its checkpoints cannot be saved', async () => {
    const { lab } = await labWith(1, numbered(3))
    const memory = createMemoryCheckpoints()
    let saves = 0
    const checkpoints = {
      ...memory,
      save: async (...given: Parameters<typeof memory.save>) => {
        if (saves++ > 0) throw new Error('the disk is full')
        await memory.save(...given)
      },
    }
    const { consumer } = await startConsumer(lab, { stream: 's', checkpoints })
    await expect(consumer.done).rejects.toThrow('the disk is full')
  })

  test('fails with what is wrong: no such stream', async () => {
    const lab = await startLab()
    await expect(
      consume({ ...access(lab), stream: 'absent', handler: () => undefined }),
    ).rejects.toMatchObject({ code: 'ConsumerFailed', message: expect.stringContaining('absent') })
  })

  test('fails with what is wrong: no permission any more', async () => {
    const { lab } = await labWith(2, numbered(4))
    const got = await startConsumer(lab, { stream: 's' })
    lab.faults.add({
      operation: 'GetRecords',
      effect: { kind: 'error', code: 'AccessDeniedException', status: 400 },
    })
    await expect(got.consumer.done).rejects.toMatchObject({ code: 'ConsumerFailed' })
  })
})

describe('a handler', () => {
  test('gets a batch again until it succeeds', async () => {
    const { lab } = await labWith(1, numbered(3))
    const collected = createCollected()
    let failures = 0
    await startConsumer(lab, {
      stream: 's',
      handler: ({ records }) => {
        if (failures++ < 2) throw new Error('not now')
        collected.add(records)
      },
    })
    await collected.handled(3)
    expect(collected.texts()).toEqual(numbered(3))
  })

  test('that fails too often stops the consumer, and the next start begins with its batch', async () => {
    const { lab } = await labWith(1, numbered(6))
    const checkpoints = createMemoryCheckpoints()
    const { consumer } = await startConsumer(lab, {
      stream: 's',
      checkpoints,
      batchRecordsMax: 2,
      attemptsMax: 2,
      handler: ({ records }) => {
        if (records.some(({ data }) => data.toString() === '3')) throw new Error('poison')
      },
    })
    await expect(consumer.done).rejects.toThrow(/failed 2 times .* poison/)
    const next = await startConsumer(lab, { stream: 's', checkpoints })
    await next.handled(4)
    expect(next.texts()).toEqual(['2', '3', '4', '5'])
  })

  test('holds the next batch of its shard back, and no other shard', async () => {
    const { lab } = await labWith(1, numbered(10))
    lab.ensureStream('t', 2)
    const underWay = new Map<string, number>()
    let most = 0
    const collected = createCollected()
    await startConsumer(lab, {
      stream: 's',
      batchRecordsMax: 2,
      handler: async ({ shardId, records }) => {
        underWay.set(shardId, (underWay.get(shardId) ?? 0) + 1)
        most = Math.max(most, underWay.get(shardId) ?? 0)
        await new Promise((resolve) => setTimeout(resolve, 1))
        underWay.set(shardId, (underWay.get(shardId) ?? 0) - 1)
        collected.add(records)
      },
    })
    await collected.handled(10)
    expect(most).toBe(1)
    expect(collected.texts()).toEqual(numbered(10))
  })

  test('is waited for by stop, and its batch is checkpointed', async () => {
    const { lab } = await labWith(1, numbered(4))
    const checkpoints = createMemoryCheckpoints()
    const begun = new EventEmitter()
    const isBegun = once(begun, 'handler')
    const handled: string[] = []
    const { consumer } = await startConsumer(lab, {
      stream: 's',
      checkpoints,
      batchRecordsMax: 2,
      handler: async ({ records, signal }) => {
        begun.emit('handler')
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        handled.push(...records.map(({ data }) => data.toString()))
      },
    })
    await isBegun
    await consumer.stop()
    expect(handled).toEqual(['0', '1'])
    const next = await startConsumer(lab, { stream: 's', checkpoints })
    await next.handled(2)
    expect(next.texts()).toEqual(['2', '3'])
  })
})
