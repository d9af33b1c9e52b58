import {
  DescribeStreamCommand,
  MergeShardsCommand,
  SplitShardCommand,
  UpdateShardCountCommand,
} from '@aws-sdk/client-kinesis'
import type { KinesisClient } from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { createMemoryCheckpoints } from '../../src/consumers/checkpoints.ts'
import { firstCheckpoints, readyShards } from '../../src/consumers/shard-graph.ts'
import { hashKeySpace } from '../../src/base/hash-key.ts'
import type { LabServerOptions } from '../../src/lab/server/lab-server.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { kinesisClient, noDelays, startLab } from '../lab/lab-fixtures.ts'
import { numbered, putTexts, startConsumer } from './consumer-parts.ts'

const shardId = (number: number) => `shardId-${String(number).padStart(12, '0')}`
const half = String(hashKeySpace / 2n)

async function labWith(texts: readonly string[], options: Partial<LabServerOptions> = {}) {
  const lab = await startLab(options)
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts)
  return { lab, kinesis }
}

async function untilActive(kinesis: KinesisClient): Promise<void> {
  for (;;) {
    const { StreamDescription } = await kinesis.send(new DescribeStreamCommand({ StreamName: 's' }))
    if (StreamDescription?.StreamStatus === 'ACTIVE') return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function split(kinesis: KinesisClient, number: number): Promise<void> {
  await kinesis.send(
    new SplitShardCommand({
      StreamName: 's',
      ShardToSplit: shardId(number),
      NewStartingHashKey: half,
    }),
  )
  await untilActive(kinesis)
}

async function merge(kinesis: KinesisClient, left: number, right: number): Promise<void> {
  await kinesis.send(
    new MergeShardsCommand({
      StreamName: 's',
      ShardToMerge: shardId(left),
      AdjacentShardToMerge: shardId(right),
    }),
  )
  await untilActive(kinesis)
}

/** Each key's texts are in the order in which they were written. */
function expectOrder(texts: readonly string[], count: number): void {
  expect(texts.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbered(count))
  for (const key of numbered(10)) {
    const ofKey = texts.filter((text) => text.endsWith(key)).map(Number)
    expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
  }
}

describe.each([
  ['polling', false],
  ['enhanced fan-out', true],
] as const)('shards that are split and merged are followed by %s', (_, fanOut) => {
  test('parents before children, each key in order', async () => {
    const { lab, kinesis } = await labWith(numbered(40))
    const got = await startConsumer(lab, { stream: 's', fanOut })
    await split(kinesis, 0)
    await putTexts(kinesis, 's', numbered(40, 40))
    await merge(kinesis, 1, 2)
    await putTexts(kinesis, 's', numbered(40, 80))
    await got.handled(120)
    expectOrder(got.texts(), 120)
  })

  test('when they were before it started', async () => {
    const { lab, kinesis } = await labWith(numbered(40))
    await split(kinesis, 0)
    await putTexts(kinesis, 's', numbered(40, 40))
    await merge(kinesis, 1, 2)
    await putTexts(kinesis, 's', numbered(40, 80))
    const got = await startConsumer(lab, { stream: 's', fanOut })
    await got.handled(120)
    expectOrder(got.texts(), 120)
  })

  test('while it was away, and a consumer that began at LATEST gets all of the children', async () => {
    const clock = createManualClock()
    const { lab, kinesis } = await labWith(['old'], { clock, statusMs: noDelays })
    // The next start begins up to a second early.
    clock.advance(1_000)
    const checkpoints = createMemoryCheckpoints()
    const first = await startConsumer(lab, { stream: 's', fanOut, checkpoints, from: 'LATEST' })
    await first.consumer.stop()
    clock.advance(60_000)
    await putTexts(kinesis, 's', numbered(10))
    await split(kinesis, 0)
    await putTexts(kinesis, 's', numbered(10, 10))
    const second = await startConsumer(lab, { stream: 's', fanOut, checkpoints, from: 'LATEST' })
    await second.handled(20)
    expectOrder(second.texts(), 20)
  })
})

test('a stream that grows while it is written loses nothing', async () => {
  const { lab, kinesis } = await labWith(numbered(20))
  const got = await startConsumer(lab, { stream: 's', batchRecordsMax: 7 })
  for (const [round, TargetShardCount] of [2, 4, 3].entries()) {
    await kinesis.send(
      new UpdateShardCountCommand({
        StreamName: 's',
        TargetShardCount,
        ScalingType: 'UNIFORM_SCALING',
      }),
    )
    await untilActive(kinesis)
    await putTexts(kinesis, 's', numbered(20, 20 * (round + 1)))
  }
  await got.handled(80)
  expectOrder(got.texts(), 80)
})

const shard = (number: number, parents: readonly number[], isClosed = false) => ({
  shardId: String(number),
  parentIds: parents.map(String),
  startingHashKey: 0n,
  endingHashKey: hashKeySpace - 1n,
  isClosed,
})

describe('whose turn it is', () => {
  const graph = new Map(
    [shard(2, [1], true), shard(3, [1], true), shard(4, [2, 3]), shard(1, [0], true)].map(
      (each) => [each.shardId, each] as const,
    ),
  )
  const ready = (ended: readonly string[]) =>
    readyShards(graph, new Map(ended.map((id) => [id, { kind: 'ended' as const }]))).map(
      (each) => each.shardId,
    )

  test.each([
    ['a shard whose parent has expired', [], ['1']],
    ['both children', ['1'], ['2', '3']],
    ['no child of two before both are done', ['1', '2'], ['3']],
    ['the child of two', ['1', '2', '3'], ['4']],
    ['nobody', ['1', '2', '3', '4'], []],
  ])('%s', (_, ended, expected) => {
    expect(ready(ended)).toEqual(expected)
  })

  test('at LATEST only what is open is read', () => {
    const first = firstCheckpoints([...graph.values()], { type: 'LATEST' }, 5)
    expect([...first].map(([id, { kind }]) => [id, kind])).toEqual([
      ['2', 'ended'],
      ['3', 'ended'],
      ['4', 'start'],
      ['1', 'ended'],
    ])
  })
})
