import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { createShardLimits } from '../../../src/lab/streams/shard-limits.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { kinesisClient, rawCall, startLab } from '../lab-fixtures.ts'

const mebibyte = 1024 * 1024
const startMs = Date.UTC(2026, 0, 1)
const on = { writes: true, reads: true, fanOut: false }
const throttled = 'ProvisionedThroughputExceededException'
const firstHash = '0'
const lastHash = String((1n << 128n) - 1n)
const rateExceeded = (shard: number) =>
  `Rate exceeded for shard shardId-00000000000${shard} in stream s under account 000000000000.`

describe('a shard takes', () => {
  /** When each record comes, how large it is, and whether it is taken. */
  type Write = readonly [afterMs: number, sizeBytes: number, isTaken: boolean]

  test.each<[what: string, writes: readonly Write[]]>([
    [
      '1 MiB at once, and nothing more',
      [
        [0, mebibyte, true],
        [0, 1, false],
      ],
    ],
    [
      'what time has made room for',
      [
        [0, mebibyte, true],
        [500, mebibyte / 2, true],
        [500, 1, false],
      ],
    ],
    [
      'no more than a second holds, however long it rested',
      [
        [60_000, mebibyte, true],
        [60_000, 1, false],
      ],
    ],
    [
      'small records while a large one does not fit',
      [
        [0, mebibyte / 2, true],
        [0, mebibyte, false],
        [0, mebibyte / 2, true],
      ],
    ],
    [
      'a record of 10 MiB on a full second, which it pays for',
      [
        [0, 10 * mebibyte, true],
        [8_999, 1, false],
        [9_001, 1, true],
      ],
    ],
    [
      'no record of 10 MiB on less',
      [
        [0, 1, true],
        [0, 10 * mebibyte, false],
        [1, 10 * mebibyte, true],
      ],
    ],
    [
      'the same after the clock was set back',
      [
        [10_000, mebibyte, true],
        [0, 1, false],
        [500, mebibyte / 2, true],
      ],
    ],
  ])('%s', (_what, writes) => {
    const limits = createShardLimits(on)
    const taken = writes.map(([afterMs, sizeBytes]) =>
      limits.takeWrite(sizeBytes, startMs + afterMs),
    )
    expect(taken).toEqual(writes.map(([, , isTaken]) => isTaken))
  })

  test('1000 records a second, of any size', () => {
    const limits = createShardLimits(on)
    const takenAt = (afterMs: number) =>
      Array.from({ length: 2_000 }, () => limits.takeWrite(1, startMs + afterMs)).filter(Boolean)
        .length
    expect([0, 0, 100, 1_100, 60_000].map(takenAt)).toEqual([1_000, 0, 100, 1_000, 1_000])
  })
})

describe('a shard gives', () => {
  /** When each call comes, what it returns, and whether it is answered. */
  type Read = readonly [afterMs: number, sizeBytes: number, isAnswered: boolean]

  test.each<[what: string, reads: readonly Read[]]>([
    [
      '5 calls a second',
      [
        [0, 0, true],
        [0, 0, true],
        [0, 0, true],
        [0, 0, true],
        [0, 0, true],
        [0, 0, false],
        [199, 0, false],
        [200, 0, true],
      ],
    ],
    [
      '2 MiB a second',
      [
        [0, mebibyte, true],
        [0, mebibyte, true],
        [0, 1, false],
        [500, mebibyte, true],
        [501, mebibyte, true],
      ],
    ],
    [
      '10 MiB, and then nothing for 5 seconds',
      [
        [0, 10 * mebibyte, true],
        [1_000, 0, false],
        [4_999, 0, false],
        [5_000, 0, true],
      ],
    ],
  ])('%s', (_what, reads) => {
    const limits = createShardLimits(on)
    for (const [afterMs, sizeBytes, isAnswered] of reads) {
      expect(limits.takeRead(startMs + afterMs)).toBe(isAnswered)
      if (isAnswered) limits.spendRead(sizeBytes, startMs + afterMs)
    }
  })

  test.each([1, 2, 3, 7, 10])('2 MiB a second in the long run, by reads of %i MiB', (size) => {
    const limits = createShardLimits(on)
    let sumBytes = 0
    for (let afterMs = 0; afterMs < 60_000; afterMs += 50) {
      if (!limits.takeRead(startMs + afterMs)) continue
      limits.spendRead(size * mebibyte, startMs + afterMs)
      sumBytes += size * mebibyte
    }
    expect(sumBytes / mebibyte).toBeGreaterThan(110)
    // What the last read took in advance comes on top.
    expect(sumBytes / mebibyte).toBeLessThanOrEqual(122 + size)
  })
})

test.each([
  [{ writes: false, reads: true, fanOut: false }, true, false],
  [{ writes: true, reads: false, fanOut: false }, false, true],
  [{ writes: false, reads: false, fanOut: false }, true, true],
])('%j: each is switched for itself', (switches, write, read) => {
  const limits = createShardLimits(switches)
  limits.takeWrite(mebibyte, startMs)
  limits.takeRead(startMs)
  limits.spendRead(10 * mebibyte, startMs)
  expect([limits.takeWrite(1, startMs), limits.takeRead(startMs)]).toEqual([write, read])
})

const put = (sizeBytes: number, ExplicitHashKey: string) => ({
  StreamName: 's',
  PartitionKey: 'k',
  ExplicitHashKey,
  Data: Buffer.alloc(sizeBytes - 1),
})

async function startLimited(shardCount = 2) {
  const clock = createManualClock()
  const lab = await startLab({ clock, limits: on })
  lab.ensureStream('s', shardCount)
  return { clock, lab, client: kinesisClient(lab) }
}

describe('over the SDK', () => {
  test('PutRecord fails for one shard and not for the other, until a second is over', async () => {
    const { clock, lab, client } = await startLimited()
    await client.send(new PutRecordCommand(put(mebibyte, firstHash)))
    await expect(client.send(new PutRecordCommand(put(10, firstHash)))).rejects.toMatchObject({
      name: throttled,
      message: rateExceeded(0),
      $metadata: { httpStatusCode: 400 },
    })
    await client.send(new PutRecordCommand(put(mebibyte, lastHash)))
    clock.advance(1_000)
    await client.send(new PutRecordCommand(put(mebibyte, firstHash)))
    expect(lab.streams.records('s')).toHaveLength(3)
  })

  test('PutRecords fails for the entries of one shard only', async () => {
    const { lab, client } = await startLimited()
    const sizes = [mebibyte - 100, 60, 60, 40]
    const Records = sizes.flatMap((size) => [put(size, firstHash), put(60, lastHash)])
    const answer = await client.send(new PutRecordsCommand({ StreamName: 's', Records }))
    expect(answer.FailedRecordCount).toBe(1)
    expect(answer.Records?.map((result) => result.ErrorCode)).toEqual(
      Records.map((_, index) => (index === 4 ? throttled : undefined)),
    )
    expect(answer.Records?.[4]?.ErrorMessage).toBe(rateExceeded(0))
    expect(lab.streams.records('s')).toHaveLength(7)
  })

  test('1000 records a second go into a shard', async () => {
    const { clock, client } = await startLimited(1)
    const Records = Array.from({ length: 500 }, () => put(10, firstHash))
    const failed: unknown[] = []
    for (let call = 0; call < 4; call++) {
      if (call === 3) clock.advance(100)
      const answer = await client.send(new PutRecordsCommand({ StreamName: 's', Records }))
      failed.push(answer.FailedRecordCount)
    }
    expect(failed).toEqual([0, 0, 500, 400])
  })

  test('GetRecords is answered 5 times a second, and pays for what it returned', async () => {
    const { clock, client } = await startLimited(1)
    const from = { StreamName: 's', ShardId: 'shardId-000000000000' } as const
    const start = { ...from, ShardIteratorType: 'TRIM_HORIZON' } as const
    const { ShardIterator } = await client.send(new GetShardIteratorCommand(start))
    const get = new GetRecordsCommand({ ShardIterator })
    for (let call = 0; call < 5; call++) await client.send(get)
    await expect(client.send(get)).rejects.toMatchObject({
      name: throttled,
      message: rateExceeded(0),
    })
    for (let call = 0; call < 10; call++) {
      clock.advance(1_000)
      await client.send(new PutRecordCommand(put(mebibyte, firstHash)))
    }
    expect((await client.send(get)).Records).toHaveLength(10)
    clock.advance(4_900)
    await expect(client.send(get)).rejects.toMatchObject({ name: throttled })
    clock.advance(100)
    expect((await client.send(get)).Records).toHaveLength(10)
  })

  test('nothing is limited unless it is asked for', async () => {
    const lab = await startLab({ clock: createManualClock() })
    lab.ensureStream('s', 1)
    const client = kinesisClient(lab)
    for (let call = 0; call < 3; call++) {
      await client.send(new PutRecordCommand(put(mebibyte, firstHash)))
    }
    expect(lab.streams.records('s')).toHaveLength(3)
  })

  test('a call that is refused as a whole takes nothing', async () => {
    const { lab, client } = await startLimited(1)
    const good = Array.from({ length: 499 }, () => ({ PartitionKey: 'k', Data: 'AAAA' }))
    const Records = [...good, { ...good[0], ExplicitHashKey: String(1n << 128n) }]
    for (let call = 0; call < 3; call++) {
      const answer = await rawCall(lab, 'PutRecords', { StreamName: 's', Records })
      expect(answer).toMatchObject({ type: 'InvalidArgumentException' })
    }
    await client.send(new PutRecordCommand(put(mebibyte, firstHash)))
    expect(lab.streams.records('s')).toHaveLength(1)
  })
})
