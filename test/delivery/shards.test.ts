import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../src/base/hash-key.ts'
import { readAheadRecordsMax } from '../../src/delivery/read-ahead.ts'
import { allLimits } from '../../src/lab/streams/shard-limits.ts'
import type { Ordering } from '../../src/outbox/outbox.ts'
import { rawCall } from '../lab/lab-fixtures.ts'
import { newRecord } from '../outbox/outbox-parts.ts'
import { openDelivery, putsOf, textsByKey, until } from './producer-parts.ts'
import type { Delivery } from './producer-parts.ts'
import { appendTo, idOfShard, keysOfShard } from './shards/shard-parts.ts'

const throttled = 'ProvisionedThroughputExceededException'
const orderings = ['key', 'strict', 'none'] as const

/** A shard that takes nothing until the rule is removed. */
const throttle = ({ lab }: Delivery, shard: number) =>
  lab.faults.add({
    shardId: idOfShard(shard),
    effect: { kind: 'failEntries', code: throttled },
  })

const denyListShards = ({ lab }: Delivery) =>
  lab.faults.add({
    operation: 'ListShards',
    effect: { kind: 'error', code: 'AccessDeniedException' },
  })

const listings = ({ lab }: Delivery) =>
  lab.calls.list().filter(({ operation }) => operation === 'ListShards').length

const keysOfAll = (count: number) => [0, 1, 2, 3].flatMap((shard) => keysOfShard(shard, count))

/** All texts of a key, in order. */
function expectAll(delivery: Delivery, keys: readonly string[], generations: number): void {
  const arrived = textsByKey(delivery.lab, 'stream')
  const texts = Array.from({ length: generations }, (_, index) => String(index))
  expect(arrived.size).toBe(keys.length)
  for (const key of keys) {
    expect(arrived.get(key)?.toSorted((left, right) => Number(left) - Number(right))).toEqual(texts)
  }
}

/** In their order, where there is one. */
function expectTexts(
  texts: readonly string[],
  expected: readonly string[],
  ordering: Ordering,
): void {
  const sorted = (of: readonly string[]) => (ordering === 'none' ? of.toSorted() : of)
  expect(sorted(texts)).toEqual(sorted(expected))
}

/** Entries that were throttled in the first 25 calls. */
async function entriesSpent(isDenied: boolean): Promise<number> {
  const delivery = await openDelivery({ haste: 200 })
  if (isDenied) denyListShards(delivery)
  const hot = throttle(delivery, 1)
  await appendTo(delivery, keysOfAll(100), 1)
  delivery.producer.start()
  await until(() => putsOf(delivery).length >= 25)
  const spent = hot.appliedCount()
  hot.remove()
  await delivery.producer.idle()
  return spent
}

describe('one hot shard of four', () => {
  test.each(orderings)(
    '%s: the other shards get all of their records in a few calls',
    async (ordering) => {
      const delivery = await openDelivery({ haste: 50 })
      const hot = throttle(delivery, 1)
      const keys = keysOfAll(100)
      await appendTo(delivery, keys, 2, ordering)
      delivery.producer.start()
      await until(() => delivery.outbox.size().records === 200)
      expect(putsOf(delivery).length).toBeLessThan(16)
      expect(delivery.lab.streams.records('stream')).toHaveLength(600)
      hot.remove()
      await delivery.producer.idle()
      expectAll(delivery, keys, 2)
      expect(listings(delivery)).toBe(1)
    },
  )

  test('is tried with one record per call, and without a shard map with all of its records', async () => {
    const byShard = await entriesSpent(false)
    const byKey = await entriesSpent(true)
    // 100 at once; before the shards are known, 100 again in each call, of which the hasty clock
    // lets a few go while they are listed; then one a call.
    expect(byShard).toBeLessThanOrEqual(100 + 5 * 100 + 25)
    expect(byKey).toBeGreaterThan(1_000)
  })

  test('gets as much as its limits allow while the other shards go on', async () => {
    const delivery = await openDelivery({ haste: 10, limits: allLimits })
    const cold = [0, 2, 3].flatMap((shard) => keysOfShard(shard, 100))
    const keys = [...cold, ...keysOfShard(1, 500)]
    await appendTo(delivery, keys, 6)
    delivery.producer.start()
    await delivery.producer.idle()
    expectAll(delivery, keys, 6)
    const records = delivery.lab.streams.records('stream')
    const ends = [0, 1, 2, 3].map((shard) =>
      Math.max(
        ...records
          .filter(({ shardId }) => shardId === idOfShard(shard))
          .map(({ arrivalMs }) => arrivalMs),
      ),
    )
    const hotMs = ends[1] ?? 0
    // 3,000 records at 1,000 a second, the first 1,000 at once: 2 seconds of the lab's clock.
    for (const coldMs of [0, 2, 3].map((shard) => ends[shard] ?? Infinity)) {
      expect(hotMs - coldMs).toBeGreaterThan(1_000)
    }
  })

  test.each(orderings)(
    '%s: what it cannot take stays on disk, and is not in the way of what comes later',
    async (ordering) => {
      const delivery = await openDelivery({ haste: 50 })
      const hot = throttle(delivery, 1)
      const hotKeys = keysOfShard(1, 200)
      delivery.producer.start()
      await appendTo(delivery, hotKeys, 1, ordering)
      await until(() => delivery.lines.length > 0)
      // More than is ever in memory.
      await appendTo(delivery, hotKeys, readAheadRecordsMax / 200 + 10, ordering)
      const coldKeys = [0, 2, 3].flatMap((shard) => keysOfShard(shard, 100))
      await appendTo(delivery, coldKeys, 2, ordering)
      await until(() => delivery.lab.streams.records('stream').length === 600)
      expectAll(delivery, coldKeys, 2)
      hot.remove()
      await delivery.producer.idle()
      const texts = textsByKey(delivery.lab, 'stream')
      const expected = ['0', ...Array.from({ length: 70 }, (_, index) => String(index))]
      for (const key of hotKeys) expectTexts(texts.get(key) ?? [], expected, ordering)
    },
  )

  test('is named in the log, once a minute', async () => {
    const delivery = await openDelivery({ haste: 50 })
    const hot = throttle(delivery, 2)
    await appendTo(delivery, keysOfAll(5), 1)
    delivery.producer.start()
    // Calls may be faster than the list of shards, without which no shard is named.
    await until(() => hot.appliedCount() >= 15 && delivery.lines.length > 0)
    expect(delivery.lines).toMatchObject([
      { level: 'warn', stream: 'stream', shards: [idOfShard(2)], throttledShards: 1, waiting: 5 },
    ])
  })

  test('is recognized from the answers of PutRecord where the role allows only that', async () => {
    const delivery = await openDelivery({ haste: 50 })
    const message = 'not authorized to perform: kinesis:PutRecords on resource'
    delivery.lab.faults.add({
      operation: 'PutRecords',
      effect: { kind: 'error', code: 'AccessDeniedException', message },
    })
    const hot = throttle(delivery, 1)
    const keys = keysOfAll(10)
    await appendTo(delivery, keys, 1)
    delivery.producer.start()
    await until(() => delivery.outbox.size().records === 10)
    const spent = hot.appliedCount()
    await until(() => hot.appliedCount() >= spent + 3)
    hot.remove()
    await delivery.producer.idle()
    expectAll(delivery, keys, 1)
    expect(listings(delivery)).toBe(1)
  })
})

describe('the list of shards', () => {
  test('is not requested while no shard is throttled', async () => {
    const delivery = await openDelivery({ haste: 50 })
    delivery.lab.faults.add({ effect: { kind: 'failEntries', code: 'InternalFailure' }, times: 30 })
    await appendTo(delivery, keysOfAll(10), 2)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(listings(delivery)).toBe(0)
  })

  test('is requested once when it is denied, and records wait by partition key', async () => {
    const delivery = await openDelivery({ haste: 50 })
    denyListShards(delivery)
    const hot = throttle(delivery, 1)
    const keys = keysOfAll(20)
    await appendTo(delivery, keys, 2)
    delivery.producer.start()
    await until(() => hot.appliedCount() >= 300)
    expect(listings(delivery)).toBe(1)
    expect(delivery.lines).toMatchObject([
      {
        level: 'info',
        code: 'AccessDeniedException',
        msg: 'shards cannot be listed: throttled records wait by partition key',
      },
    ])
    hot.remove()
    await delivery.producer.idle()
    expectAll(delivery, keys, 2)
  })

  test('is requested again half a minute after a failure that passes', async () => {
    const delivery = await openDelivery({ haste: 1_000 })
    const failing = delivery.lab.faults.add({
      operation: 'ListShards',
      effect: { kind: 'error', code: 'InternalFailure' },
      times: 1,
    })
    const hot = throttle(delivery, 1)
    const keys = keysOfAll(5)
    await appendTo(delivery, keys, 1)
    delivery.producer.start()
    await until(() => listings(delivery) === 2 && delivery.lines.length > 0)
    expect(failing.appliedCount()).toBe(1)
    expect(delivery.lines[0]).toMatchObject({ shards: [idOfShard(1)] })
    hot.remove()
    await delivery.producer.idle()
    expectAll(delivery, keys, 1)
  })

  test.each([
    ['split', 'SplitShard', { ShardToSplit: idOfShard(0), NewStartingHashKey: '1000' }, 5],
    [
      'merged',
      'MergeShards',
      { ShardToMerge: idOfShard(0), AdjacentShardToMerge: idOfShard(1) },
      4,
    ],
  ])('is read again when a shard was %s', async (_, operation, change, newShard) => {
    const delivery = await openDelivery({ haste: 50 })
    // Without end: a shard that is closed takes nothing, and its throttle hits nothing.
    const old = throttle(delivery, 0)
    const keys = keysOfAll(20)
    await appendTo(delivery, keys, 2)
    delivery.producer.start()
    await until(() => delivery.lines.length > 0)
    const changed = await rawCall(delivery.lab, operation, { StreamName: 'stream', ...change })
    expect(changed.status).toBe(200)
    await delivery.producer.idle()
    expectAll(delivery, keys, 2)

    const spent = old.appliedCount()
    const hot = throttle(delivery, newShard)
    await appendTo(delivery, keysOfShard(0, 40), 1)
    await until(() => listings(delivery) === 2)
    const tries = hot.appliedCount()
    const calls = putsOf(delivery).length
    await until(() => putsOf(delivery).length >= calls + 8)
    // Known by the new list, they go on one at a time.
    expect(hot.appliedCount() - tries).toBeLessThanOrEqual(40 + 8)
    hot.remove()
    await delivery.producer.idle()
    expect(old.appliedCount()).toBe(spent)
  })

  test('is read page by page', async () => {
    const shardCount = 1_500
    const delivery = await openDelivery({ haste: 50, shardCount })
    const hot = throttle(delivery, shardCount - 1)
    const explicitHashKey = String(hashKeySpace - 1n)
    const record = { ...newRecord('stream', 'k', '0'), explicitHashKey }
    await delivery.outbox.append([record])
    delivery.producer.start()
    await until(() => delivery.lines.length > 0)
    expect(listings(delivery)).toBe(2)
    expect(delivery.lines[0]).toMatchObject({ shards: [idOfShard(shardCount - 1)] })
    hot.remove()
    await delivery.producer.idle()
  })
})
