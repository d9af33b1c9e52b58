import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import type { LabServer } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'
import { base64, noDelays, rawCall, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const hourMs = 3_600_000
const middle = String(hashKeySpace / 2n)
const idOf = (number: number) => `shardId-${String(number).padStart(12, '0')}`

interface ListedShard {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly AdjacentParentShardId?: string
  readonly HashKeyRange: { readonly StartingHashKey: string; readonly EndingHashKey: string }
  readonly SequenceNumberRange: {
    readonly StartingSequenceNumber: string
    readonly EndingSequenceNumber?: string
  }
}

interface Bench {
  readonly lab: LabServer
  readonly clock: ManualClock
  readonly call: (operation: string, input?: object) => ReturnType<typeof rawCall>
  readonly shards: (filter?: object) => Promise<readonly ListedShard[]>
  /** Ids without their zeros, of the shards that a filter selects. */
  readonly numbers: (filter?: object) => Promise<readonly number[]>
  readonly put: (
    explicitHashKey: string,
    text?: string,
  ) => Promise<Readonly<Record<string, unknown>>>
}

async function createBench(shardCount = 1, options: object = {}): Promise<Bench> {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: noDelays, ...options })
  lab.ensureStream(StreamName, shardCount)
  const call: Bench['call'] = (operation, input = {}) =>
    rawCall(lab, operation, { StreamName, ...input })
  const shards: Bench['shards'] = async (filter) => {
    const { output } = await call('ListShards', filter ? { ShardFilter: filter } : {})
    return output['Shards'] as ListedShard[]
  }
  return {
    lab,
    clock,
    call,
    shards,
    async numbers(filter) {
      return (await shards(filter)).map((shard) => Number(shard.ShardId.slice(-12)))
    },
    async put(ExplicitHashKey, text = 'x') {
      const record = { PartitionKey: 'k', ExplicitHashKey, Data: base64(text) }
      return (await call('PutRecord', record)).output
    },
  }
}

const split = (shard: number, at: string) => ({
  ShardToSplit: idOf(shard),
  NewStartingHashKey: at,
})
const merge = (first: number, second: number) => ({
  ShardToMerge: idOf(first),
  AdjacentShardToMerge: idOf(second),
})

describe('SplitShard', () => {
  test('closes the shard and opens two that share its range', async () => {
    const { call, shards, put } = await createBench()
    const before = await put('0')
    expect(await call('SplitShard', split(0, middle))).toMatchObject({ status: 200 })
    const [parent, low, high] = await shards()
    expect(parent?.SequenceNumberRange.EndingSequenceNumber).toMatch(/^49\d{54}$/)
    expect(low).toMatchObject({
      ShardId: idOf(1),
      ParentShardId: idOf(0),
      HashKeyRange: { StartingHashKey: '0', EndingHashKey: String(hashKeySpace / 2n - 1n) },
    })
    expect(high).toMatchObject({
      ShardId: idOf(2),
      ParentShardId: idOf(0),
      HashKeyRange: { StartingHashKey: middle, EndingHashKey: String(hashKeySpace - 1n) },
    })
    const after = await Promise.all([put('0'), put(middle)])
    expect(after.map((place) => place['ShardId'])).toEqual([idOf(1), idOf(2)])
    for (const place of after) {
      expect(String(place['SequenceNumber']) > String(before['SequenceNumber'])).toBe(true)
    }
  })

  test.each([
    ['a place outside of the shard', 1, '0', 'InvalidArgumentException'],
    ['the start of the shard', 1, middle, 'InvalidArgumentException'],
    ['a shard that is closed', 0, '9', 'InvalidArgumentException'],
    ['a shard that never was', 9, '9', 'ResourceNotFoundException'],
  ])('refuses %s', async (_what, shard, at, code) => {
    const { call } = await createBench()
    await call('SplitShard', split(0, middle))
    const number = shard === 1 ? 2 : shard
    expect(await call('SplitShard', split(number, at))).toMatchObject({ status: 400, type: code })
  })
})

describe('MergeShards', () => {
  test.each([
    [0, 1],
    [1, 0],
  ])('makes one shard of two neighbours, given as %i and %i', async (first, second) => {
    const { call, shards, numbers, put } = await createBench(3)
    expect(await call('MergeShards', merge(first, second))).toMatchObject({ status: 200 })
    expect((await shards())[3]).toMatchObject({
      ShardId: idOf(3),
      ParentShardId: idOf(0),
      AdjacentParentShardId: idOf(1),
    })
    expect(await numbers({ Type: 'AT_LATEST' })).toEqual([2, 3])
    expect((await put('0'))['ShardId']).toBe(idOf(3))
  })

  test.each([
    [0, 2],
    [1, 1],
  ])('refuses %i and %i, which are no neighbours', async (first, second) => {
    const { call } = await createBench(3)
    expect(await call('MergeShards', merge(first, second))).toMatchObject({
      type: 'InvalidArgumentException',
      message: expect.stringContaining('not an adjacent pair') as string,
    })
  })
})

const scale = (target: number) => ({
  TargetShardCount: target,
  ScalingType: 'UNIFORM_SCALING',
})

describe('UpdateShardCount', () => {
  test.each([
    [2, 4],
    [4, 2],
    [4, 5],
    [4, 3],
    [2, 3],
    [3, 3],
    [7, 14],
  ])('from %i to %i gives equal ranges', async (from, to) => {
    const { call, shards, put } = await createBench(from)
    const { output } = await call('UpdateShardCount', scale(to))
    expect(output).toMatchObject({ CurrentShardCount: from, TargetShardCount: to, StreamName })
    const open = (await shards({ Type: 'AT_LATEST' })).map(({ HashKeyRange }) => HashKeyRange)
    const starts = open
      .map((range) => BigInt(range.StartingHashKey))
      .toSorted((a, b) => Number(a - b))
    expect(starts).toEqual(
      Array.from({ length: to }, (_, index) => (hashKeySpace / BigInt(to)) * BigInt(index)),
    )
    expect(await put('0')).toHaveProperty('SequenceNumber')
  })

  test.each([5, 11])('refuses %i, which is under half or over double', async (target) => {
    const { call } = await createBench(target === 5 ? 11 : 5)
    expect(await call('UpdateShardCount', scale(target))).toMatchObject({
      type: 'LimitExceededException',
    })
  })
})

test('whatever is split, merged and counted out, open shards share the key space without a gap', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(2), fc.nat(1000), fc.nat(1000)), { maxLength: 12 }),
      async (steps) => {
        const bench = await createBench(3)
        for (const [kind, a, b] of steps) {
          const open = (await bench.shards({ Type: 'AT_LATEST' })).toSorted((left, right) =>
            Number(
              BigInt(left.HashKeyRange.StartingHashKey) -
                BigInt(right.HashKeyRange.StartingHashKey),
            ),
          )
          const one = open[a % open.length]
          const { StartingHashKey = '0', EndingHashKey = '0' } = one?.HashKeyRange ?? {}
          const width = BigInt(EndingHashKey) - BigInt(StartingHashKey)
          const at = BigInt(StartingHashKey) + (width * BigInt(b + 1)) / 1002n
          await [
            () =>
              bench.call('SplitShard', {
                ShardToSplit: one?.ShardId,
                NewStartingHashKey: String(at),
              }),
            () =>
              bench.call('MergeShards', {
                ShardToMerge: one?.ShardId,
                AdjacentShardToMerge: open[(a % open.length) + 1]?.ShardId ?? idOf(0),
              }),
            () =>
              bench.call('UpdateShardCount', {
                TargetShardCount: 1 + (b % 8),
                ScalingType: 'UNIFORM_SCALING',
              }),
          ][kind]?.()
        }
        expectNoGap(await bench.shards({ Type: 'AT_LATEST' }))
        expectFamily(await bench.shards())
        await bench.lab.close()
      },
    ),
    { numRuns: 15 },
  )
})

function expectNoGap(shards: readonly ListedShard[]): void {
  const ranges = shards
    .map(({ HashKeyRange: range }) => [BigInt(range.StartingHashKey), BigInt(range.EndingHashKey)])
    .toSorted(([a = 0n], [b = 0n]) => (a < b ? -1 : 1))
  const starts = ranges.map(([start]) => start)
  const ends = ranges.map(([, end = 0n]) => end + 1n)
  expect(starts).toEqual([0n, ...ends.slice(0, -1)])
  expect(ends.at(-1)).toBe(hashKeySpace)
}

/** Parents come before their children, and are closed. */
function expectFamily(shards: readonly ListedShard[]): void {
  const byId = new Map(shards.map((shard) => [shard.ShardId, shard]))
  for (const { ShardId, ParentShardId, AdjacentParentShardId, SequenceNumberRange } of shards) {
    for (const id of [ParentShardId, AdjacentParentShardId]) {
      const parent = id === undefined ? undefined : byId.get(id)
      expect(id === undefined || id < ShardId).toBe(true)
      const end = parent?.SequenceNumberRange.EndingSequenceNumber ?? '0'
      expect(end < SequenceNumberRange.StartingSequenceNumber).toBe(true)
      expect(parent === undefined || end !== '0').toBe(true)
    }
  }
}

describe('a shard that was split', () => {
  test('is read to its end, which names its children', async () => {
    const { call, put } = await createBench()
    for (const text of ['a', 'b', 'c']) await put('0', text)
    await call('SplitShard', split(0, middle))
    const start = { ShardId: idOf(0), ShardIteratorType: 'TRIM_HORIZON' }
    const { output: given } = await call('GetShardIterator', start)
    const first = await call('GetRecords', { ShardIterator: given['ShardIterator'], Limit: 2 })
    expect(first.output).not.toHaveProperty('ChildShards')
    const last = await call('GetRecords', { ShardIterator: first.output['NextShardIterator'] })
    expect(last.output).not.toHaveProperty('NextShardIterator')
    expect(last.output).toMatchObject({
      Records: [{ Data: base64('c') }],
      MillisBehindLatest: 0,
      ChildShards: [
        {
          ShardId: idOf(1),
          ParentShards: [idOf(0)],
          HashKeyRange: { StartingHashKey: '0' },
        },
        { ShardId: idOf(2), ParentShards: [idOf(0)] },
      ],
    })
  })

  test.each(['LATEST', 'AFTER_SEQUENCE_NUMBER', 'AT_SEQUENCE_NUMBER'])(
    'is at its end from %s on',
    async (type) => {
      const { call, shards, put } = await createBench()
      await put('0')
      await call('SplitShard', split(0, middle))
      const ending = (await shards())[0]?.SequenceNumberRange.EndingSequenceNumber
      const iterator = await call('GetShardIterator', {
        ShardId: idOf(0),
        ShardIteratorType: type,
        ...(type === 'LATEST' ? {} : { StartingSequenceNumber: ending }),
      })
      const { output } = await call('GetRecords', {
        ShardIterator: iterator.output['ShardIterator'],
      })
      expect(output).toMatchObject({ Records: [], ChildShards: [{}, {}] })
    },
  )

  test('is gone when its records are past retention', async () => {
    const { call, clock, numbers } = await createBench()
    const start = { ShardId: idOf(0), ShardIteratorType: 'LATEST' }
    await call('SplitShard', split(0, middle))
    clock.advance(24 * hourMs)
    const { output } = await call('GetShardIterator', start)
    expect(await numbers()).toEqual([0, 1, 2])
    clock.advance(1)
    expect(await numbers()).toEqual([1, 2])
    const notFound = { type: 'ResourceNotFoundException' }
    expect(await call('GetShardIterator', start)).toMatchObject(notFound)
    expect(await call('GetRecords', { ShardIterator: output['ShardIterator'] })).toMatchObject(
      notFound,
    )
  })
})

test('ListShards filters by time and by place', async () => {
  const bench = await createBench(2)
  const { call, clock, numbers } = bench
  const secondsAt: number[] = []
  for (const step of [split(0, '9'), split(1, String(hashKeySpace - 9n))]) {
    clock.advance(hourMs)
    await call('SplitShard', step)
    clock.advance(hourMs)
    secondsAt.push(clock.wallMs() / 1000)
  }
  const [first = 0, second = 0] = secondsAt
  expect(await numbers()).toEqual([0, 1, 2, 3, 4, 5])
  expect(await numbers({ Type: 'FROM_TRIM_HORIZON' })).toEqual([0, 1, 2, 3, 4, 5])
  expect(await numbers({ Type: 'AT_TRIM_HORIZON' })).toEqual([0, 1])
  expect(await numbers({ Type: 'AT_LATEST' })).toEqual([2, 3, 4, 5])
  expect(await numbers({ Type: 'AT_TIMESTAMP', Timestamp: first })).toEqual([1, 2, 3])
  expect(await numbers({ Type: 'AT_TIMESTAMP', Timestamp: second })).toEqual([2, 3, 4, 5])
  expect(await numbers({ Type: 'FROM_TIMESTAMP', Timestamp: first })).toEqual([1, 2, 3, 4, 5])
  expect(await numbers({ Type: 'AFTER_SHARD_ID', ShardId: idOf(3) })).toEqual([4, 5])
  // A page later, the filter still holds.
  const { output } = await call('ListShards', { MaxResults: 1, ShardFilter: { Type: 'AT_LATEST' } })
  const next = await rawCall(bench.lab, 'ListShards', { NextToken: output['NextToken'] })
  expect((next.output['Shards'] as ListedShard[]).map(({ ShardId }) => ShardId)).toEqual(
    [3, 4, 5].map(idOf),
  )
})

const statusOf = async ({ call }: Bench) => {
  const { output, type } = await call('DescribeStreamSummary')
  const summary = output['StreamDescriptionSummary'] as { StreamStatus: string } | undefined
  return summary?.StreamStatus ?? type
}

describe('the status of a stream', () => {
  const durations = { creatingMs: 10, updatingMs: 20, deletingMs: 30, consumerMs: 40 }
  test('is CREATING for a while, in which it takes no records', async () => {
    const bench = await createBench(1, { statusMs: durations })
    const { call, lab, clock } = bench
    const t = { StreamName: 't' }
    await call('CreateStream', { ...t, ShardCount: 1 })
    expect(await rawCall(lab, 'DescribeStreamSummary', t)).toMatchObject({
      output: { StreamDescriptionSummary: { StreamStatus: 'CREATING' } },
    })
    const record = { ...t, PartitionKey: 'k', Data: '' }
    expect((await rawCall(lab, 'PutRecord', record)).type).toBe('ResourceNotFoundException')
    clock.advance(10)
    expect((await rawCall(lab, 'PutRecord', record)).status).toBe(200)
  })

  test('is UPDATING for a while, in which only its records move', async () => {
    const bench = await createBench(1, { statusMs: durations })
    const { call, clock, put, numbers } = bench
    await call('SplitShard', split(0, middle))
    expect(await statusOf(bench)).toBe('UPDATING')
    expect(await numbers()).toEqual([0])
    expect(await put('0')).toMatchObject({ ShardId: idOf(0) })
    for (const [operation, input] of [
      ['SplitShard', split(0, middle)],
      ['DeleteStream', {}],
      ['IncreaseStreamRetentionPeriod', { RetentionPeriodHours: 48 }],
    ] as const) {
      expect(await call(operation, input)).toMatchObject({
        type: 'ResourceInUseException',
        message: 'Stream s under account 000000000000 not ACTIVE, instead in state UPDATING.',
      })
    }
    clock.advance(20)
    expect(await statusOf(bench)).toBe('ACTIVE')
    expect(await numbers()).toEqual([0, 1, 2])
  })

  test('is DELETING for a while, then it is not there', async () => {
    const bench = await createBench(1, { statusMs: durations })
    await bench.call('DeleteStream')
    expect(await statusOf(bench)).toBe('DELETING')
    expect((await bench.call('DeleteStream')).type).toBe('ResourceInUseException')
    bench.clock.advance(30)
    expect(await statusOf(bench)).toBe('ResourceNotFoundException')
  })
})
