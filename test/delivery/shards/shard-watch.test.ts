import { expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import type { ShardRange } from '../../../src/aws/kinesis-calls.ts'
import type { RecordOutcome } from '../../../src/aws/call/call-outcome.ts'
import { newOutgoing } from '../../../src/delivery/call/outgoing.ts'
import { createShardWatch } from '../../../src/delivery/shards/shard-watch.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { destination } from '../../outbox/outbox-parts.ts'
import { idOfShard, keysOfShard } from './shard-parts.ts'

/** So many shards of one size. */
function shardsOf(count: number): ShardRange[] {
  const size = hashKeySpace / BigInt(count)
  return Array.from({ length: count }, (_, number) => ({
    shardId: idOfShard(number),
    startingHashKey: BigInt(number) * size,
    endingHashKey: BigInt(number + 1) * size - 1n,
  }))
}

const outgoingOf = (partitionKey: string) =>
  newOutgoing({
    sequence: 1,
    partitionKey,
    data: Buffer.from('{}'),
    stored: Buffer.alloc(0),
    bytes: 10,
    ruleName: 'telemetry',
    actionIndex: 0,
    acceptedAtMs: 0,
  })

/** A watch of a stream that has four shards, of which the last is throttled. */
async function openWatch() {
  const clock = createManualClock(1_000_000)
  const listed: number[] = []
  let shards = shardsOf(4)
  const watch = createShardWatch({
    destination: destination('stream'),
    calls: {
      listShards: () => {
        listed.push(shards.length)
        return Promise.resolve({ listed: true as const, shards })
      },
    },
    clock,
    logger: createMemoryLogger(() => {}),
    signal: new AbortController().signal,
    random: () => 0.5,
  })
  const [key = ''] = keysOfShard(3, 1)
  const answer = async (result: RecordOutcome) => {
    watch.answered([outgoingOf(key)], { answered: true, records: [result] }, watch.generation())
    await new Promise((resolve) => setImmediate(resolve))
  }
  await answer(throttled(3))
  await answer(throttled(3))
  return {
    clock,
    watch,
    listed,
    answer,
    makeAnew: (count: number) => {
      shards = shardsOf(count)
    },
  }
}

const throttled = (shard: number): RecordOutcome => ({
  ok: false,
  failure: {
    code: 'ProvisionedThroughputExceededException',
    message: `Rate exceeded for shard ${idOfShard(shard)} in stream stream`,
    source: 'Kinesis',
  },
})
const delivered = (shard: number): RecordOutcome => ({
  ok: true,
  shardId: idOfShard(shard),
  sequenceNumber: '1',
})

test('a record in another shard than the map says shows that the map is stale', async () => {
  const { clock, watch, listed, answer, makeAnew } = await openWatch()
  expect(watch.throttled()).toEqual([idOfShard(3)])
  makeAnew(2)
  clock.advance(1_000)
  await answer(delivered(1))
  expect(listed).toEqual([4, 2])
  expect(watch.throttled()).toEqual([])
})

test('a throttle of another shard than the map says shows it, too', async () => {
  const { clock, listed, answer, makeAnew } = await openWatch()
  makeAnew(2)
  clock.advance(1_000)
  await answer(throttled(1))
  expect(listed).toEqual([4, 2])
})

test('the map is listed again when it is old and a shard is still throttled', async () => {
  const { clock, watch, listed, answer, makeAnew } = await openWatch()
  makeAnew(8)
  clock.advance(300_000)
  watch.answered([], { answered: true, records: [] }, watch.generation())
  await answer(delivered(3))
  expect(listed).toEqual([4, 8])
})

test('what each shard was sent is counted while somebody looks', async () => {
  const { clock, watch, answer } = await openWatch()
  await answer(delivered(0))
  const first = watch.look(false)
  expect(first.isListed).toBe(true)
  expect(first.shards.map(({ sent }) => sent.records)).toEqual([0, 0, 0, 0])
  expect(first.shards[3]).toMatchObject({ isThrottled: true, dueMs: expect.any(Number) as number })
  await answer(delivered(0))
  clock.advance(30_000)
  await answer(delivered(0))
  await answer(delivered(1))
  const sentIn = () => watch.look(false).shards.map(({ sent }) => [sent.records, sent.bytes])
  expect(sentIn().slice(0, 3)).toEqual([
    [2, 20],
    [1, 10],
    [0, 0],
  ])
  clock.advance(31_000)
  expect(sentIn()[0]).toEqual([1, 10])
  clock.advance(121_000)
  await answer(delivered(0))
  expect(watch.look(false)).toMatchObject({ countedSinceMs: clock.monotonicMs() })
  expect(sentIn()[0]).toEqual([0, 0])
})
