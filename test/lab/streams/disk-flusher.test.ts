import { describe, expect, test } from 'vitest'
import { createDiskFlusher } from '../../../src/lab/streams/disk-flusher.ts'
import type { FlushPlan } from '../../../src/lab/streams/flush-plan.ts'
import { readShard } from '../../../src/lab/streams/read-shard.ts'
import { shardFor } from '../../../src/lab/streams/stream.ts'
import { createStreamNamespaces } from '../../../src/lab/streams/stream-namespaces.ts'
import { jsonFormat } from '../../../src/lab/wire/wire-format.ts'
import { createMemoryLogger } from '../../../src/telemetry/logger.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, noDelays, region } from '../lab-fixtures.ts'

/** A disk whose commits end when the test says so. */
function createHeldDisk() {
  const clock = createManualClock()
  const lines: string[] = []
  const logger = createMemoryLogger((line) => lines.push(String(line['msg'])))
  const begun: { plan: FlushPlan; end: (error?: Error) => void }[] = []
  const waiting: (() => void)[] = []
  const commit = (plan: FlushPlan) =>
    new Promise<void>((resolve, reject) => {
      begun.push({ plan, end: (error) => (error ? reject(error) : resolve()) })
      waiting.splice(0).forEach((wake) => wake())
    })
  const flusher = createDiskFlusher({ clock, logger, commit }, new Map())
  const namespaces = createStreamNamespaces({
    clock,
    storedBytesMax: 1_000_000,
    statusMs: noDelays,
    journal: flusher.journal,
  })
  return {
    clock,
    lines,
    flusher,
    streams: namespaces.in({ region, accountId }),
    commitCount: () => begun.length,
    /** The commit with this number, from 1, once it has begun. */
    commit: async (number: number) => {
      while (begun.length < number) await new Promise<void>((resolve) => waiting.push(resolve))
      const found = begun[number - 1]
      if (!found) throw new Error(`no commit ${number}`)
      return found
    },
  }
}

async function withStream() {
  const disk = createHeldDisk()
  const stream = disk.streams.create({ name: 's', shardCount: 1 })
  const shard = shardFor(stream, 'key')
  const first = await disk.commit(1)
  first.end()
  await disk.flusher.durable()
  const put = (text: string) => disk.streams.append(stream, shard, 'key', Buffer.from(text))
  const limits = { recordsMax: 100, bytesMax: 1_000_000 }
  const readCount = () => readShard(shard, 1, limits, jsonFormat).records.length
  return { ...disk, stream, shard, put, readCount }
}

/** Whether a promise is still pending after everything that could run has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  const tick = new Promise((resolve) => setImmediate(() => resolve(pending)))
  return (await Promise.race([promise, tick])) === pending
}

test('a record can be read when it is on disk, and not earlier', async () => {
  const { commit, flusher, put, readCount, shard } = await withStream()
  let wakeCount = 0
  shard.watchers.add(() => wakeCount++)
  put('a')
  const durable = flusher.durable()
  const { end } = await commit(2)
  expect(await isPending(durable)).toBe(true)
  expect([readCount(), wakeCount]).toEqual([0, 0])
  end()
  await durable
  expect([readCount(), wakeCount]).toEqual([1, 1])
})

test('a shard is closed when the change is on disk, and not earlier', async () => {
  const { commit, flusher, shard, stream, streams } = await withStream()
  streams.update(stream, { kind: 'split', shardNumber: shard.number, hashKey: '9' })
  const durable = flusher.durable()
  const { end } = await commit(2)
  expect(await isPending(durable)).toBe(true)
  expect([stream.status, shard.closedMs]).toEqual(['UPDATING', undefined])
  end()
  await durable
  expect([stream.status, stream.openShards.length]).toEqual(['ACTIVE', 2])
})

test('what comes while a flush is under way shares the next one', async () => {
  const { commit, commitCount, flusher, put, readCount } = await withStream()
  put('a')
  const first = flusher.durable()
  const running = await commit(2)
  put('b')
  const second = flusher.durable()
  put('c')
  const third = flusher.durable()
  running.end()
  await first
  const next = await commit(3)
  expect(await isPending(second)).toBe(true)
  expect(readCount()).toBe(1)
  next.end()
  await Promise.all([second, third])
  expect([readCount(), commitCount()]).toEqual([3, 3])
})

describe('when the disk takes nothing', () => {
  test('the call fails, later changes are refused, and the flush is tried again', async () => {
    const { clock, commit, flusher, lines, put, readCount } = await withStream()
    put('a')
    const durable = flusher.durable()
    const failing = await commit(2)
    failing.end(new Error('no space'))
    const code = 'InternalFailure'
    await expect(durable).rejects.toMatchObject({ code, status: 500 })
    expect(() => flusher.refuseWhileFailing()).toThrow('no space')
    expect(readCount()).toBe(0)
    for (const attempt of [3, 4]) {
      clock.advance(1_000)
      const again = await commit(attempt)
      again.end(attempt === 3 ? new Error('no space') : undefined)
      await flusher.durable().catch(() => undefined)
    }
    expect(() => flusher.refuseWhileFailing()).not.toThrow()
    expect(readCount()).toBe(1)
    expect(lines).toEqual([
      'the lab cannot write to its folder: no space',
      'the lab can write to its folder again',
    ])
  })

  test('what is left is written at the end, and nothing is taken afterwards', async () => {
    const { commit, flusher, put, readCount } = await withStream()
    put('a')
    const closed = flusher.close()
    const last = await commit(2)
    last.end()
    await closed
    expect(readCount()).toBe(1)
    expect(() => flusher.refuseWhileFailing()).toThrow('is being closed')
  })
})
