import { describe, expect, test } from 'vitest'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { StreamDestination } from '../../src/outbox/outbox.ts'
import { destination, newRecord, newRecordFor } from '../outbox/outbox-parts.ts'
import { openDelivery, putsOf, textsByKey, until } from './producer-parts.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))
const sizesOf = (delivery: Parameters<typeof putsOf>[0]) =>
  putsOf(delivery).map(({ partitionKeys }) => partitionKeys.length)

describe('the settings of a destination', () => {
  test('bound its calls by records and by bytes', async () => {
    const delivery = await openDelivery()
    const batching = { ...deliveryDefaults.batching, count: 7, bytes: 50 }
    const to = destination('stream', { batching })
    await delivery.outbox.append(numbers(20).map((text) => newRecordFor(to, text, text)))
    await delivery.outbox.append([newRecordFor(to, 'large', 'x'.repeat(100))])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(sizesOf(delivery)).toEqual([7, 7, 6, 1])
  })

  test('let a call wait for further records', async () => {
    const delivery = await openDelivery({ haste: 1 })
    const to = destination('stream', { batching: { ...deliveryDefaults.batching, periodMs: 100 } })
    delivery.producer.start()
    for (const text of numbers(5)) await delivery.outbox.append([newRecordFor(to, text, text)])
    await delivery.producer.idle()
    expect(sizesOf(delivery)).toEqual([5])
  })

  test('let a call take one record of a key with strict, and any with none', async () => {
    const delivery = await openDelivery({ streams: ['strict', 'none'] })
    const strict = destination('strict', { ordering: 'strict' })
    const none = destination('none', { ordering: 'none' })
    const texts = numbers(6)
    await delivery.outbox.append(texts.map((text) => newRecordFor(strict, 'k', text)))
    await delivery.outbox.append(texts.map((text) => newRecordFor(none, 'k', text)))
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'strict').get('k')).toEqual(texts)
    expect(textsByKey(delivery.lab, 'none').get('k')?.toSorted()).toEqual(texts)
    expect(sizesOf(delivery).toSorted((left, right) => left - right)).toEqual([1, 1, 1, 1, 1, 1, 6])
  })

  test('choose the shard by the explicit hash key in both operations', async () => {
    const delivery = await openDelivery({ streams: [] })
    delivery.lab.ensureStream('stream', 2)
    const last = String(2n ** 128n - 1n)
    const [a, b, c] = ['a', 'b', 'c'].map((key) => newRecord('stream', key, key))
    if (!a || !b || !c) throw new Error('three records are made')
    await delivery.outbox.append([
      { ...a, explicitHashKey: '0' },
      { ...b, explicitHashKey: last },
    ])
    delivery.producer.start()
    await delivery.producer.idle()
    await delivery.outbox.append([{ ...c, explicitHashKey: last }])
    await delivery.producer.idle()
    const shards = new Map(
      delivery.lab.streams
        .records('stream')
        .map(({ partitionKey, shardId }) => [partitionKey, shardId.at(-1)]),
    )
    expect(Object.fromEntries(shards)).toEqual({ a: '0', b: '1', c: '1' })
  })

  test('name the stream by its ARN and write with the credentials of the process', async () => {
    const delivery = await openDelivery()
    const to: StreamDestination = {
      ...destination('stream'),
      streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/stream',
      credentials: { kind: 'process' },
    }
    await delivery.outbox.append([newRecordFor(to, 'k', '1')])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['1'])
    expect(delivery.lab.calls.list().map(({ operation }) => operation)).toEqual(['PutRecord'])
    expect(putsOf(delivery)[0]?.accessKeyId).toBe('AKIATEST')
  })

  test('bound the read-ahead of all destinations together and starve none', async () => {
    const delivery = await openDelivery({ streams: ['a', 'b', 'c'], readAheadBytesMax: 100_000 })
    const text = 'x'.repeat(2_000)
    for (const stream of ['a', 'b', 'c']) {
      await delivery.outbox.append(numbers(300).map((key) => newRecord(stream, key, text)))
    }
    delivery.producer.start()
    await delivery.producer.idle()
    expect(Math.max(...sizesOf(delivery))).toBeLessThanOrEqual(50)
    for (const stream of ['a', 'b', 'c']) {
      expect(delivery.lab.streams.records(stream)).toHaveLength(300)
    }
  })
})

describe('the time of day', () => {
  test('may be set forward: a new record is not given up', async () => {
    let aheadMs = 0
    const wallMs = () => systemClock.wallMs() + aheadMs
    const delivery = await openDelivery({ streams: [], haste: 500, wallMs })
    await delivery.outbox.append([newRecord('stream', 'k', '1')])
    aheadMs = deliveryDefaults.retry.maxAgeMs + 3_600_000
    delivery.producer.start()
    await until(() => putsOf(delivery).length >= 9)
    expect(delivery.outbox.deadLetters.size().records).toBe(0)
    delivery.lab.ensureStream('stream')
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['1'])
  })

  test('may be set back: a retry is not delayed', async () => {
    let setBackMs = 0
    const delivery = await openDelivery({
      haste: 1,
      wallMs: () => systemClock.wallMs() - setBackMs,
    })
    delivery.lab.faults.add({
      operation: 'PutRecord',
      effect: { kind: 'error', code: 'InternalFailureException' },
      times: 2,
    })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1')])
    setBackMs = 3_600_000
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['1'])
  })
})
