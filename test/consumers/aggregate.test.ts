import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openAggregate } from '../../src/consumers/aggregate.ts'
import { createMemoryCheckpoints } from '../../src/consumers/checkpoints.ts'
import { hashKeyOf, hashKeySpace } from '../../src/base/hash-key.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { PutRecordCommand } from '@aws-sdk/client-kinesis'
import { aggregate } from './aggregate.ts'
import type { Part } from './aggregate.ts'
import { numbered, startConsumer } from './consumer-parts.ts'

const wholeSpace = { startingHashKey: 0n, endingHashKey: hashKeySpace - 1n }
const recordWith = (data: Buffer) => ({
  sequenceNumber: '49',
  partitionKey: 'outer',
  data,
  approximateArrivalMs: 1,
})
const opened = (parts: readonly Part[], shard = wholeSpace) =>
  openAggregate(recordWith(aggregate(parts)), shard).map(
    ({ partitionKey, explicitHashKey, data, subSequenceNumber }) => ({
      key: partitionKey,
      ...(explicitHashKey !== undefined && { explicitHashKey }),
      text: data.toString(),
      place: subSequenceNumber,
    }),
  )

describe('an aggregated record', () => {
  test('gives its records in order, with their keys and places', () => {
    const parts = [
      { key: 'a', text: 'one' },
      { key: 'b', text: 'two', explicitHashKey: '17' },
      { key: 'a', text: 'three' },
    ]
    expect(opened(parts)).toEqual(parts.map((part, place) => ({ ...part, place })))
  })

  test('written by any producer is read as it was written', () => {
    const part = fc.record({
      key: fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
      text: fc.string({ unit: 'binary' }),
    })
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 20 }), (parts) => {
        expect(opened(parts)).toEqual(parts.map((given, place) => ({ ...given, place })))
      }),
    )
  })

  test('of which one key is outside the shard is dropped whole', () => {
    const middle = hashKeySpace / 2n
    const keys = numbered(20).map((number) => `key-${number}`)
    const lower = { startingHashKey: 0n, endingHashKey: middle - 1n }
    const read = (of: readonly string[]) =>
      opened(
        of.map((key) => ({ key, text: key })),
        lower,
      )
    expect(read(keys)).toEqual([])
    const own = keys.filter((key) => hashKeyOf(key) < middle)
    expect(own.length).toBeGreaterThan(0)
    expect(read(own).map(({ key }) => key)).toEqual(own)
  })

  test('is judged by the explicit hash key where there is one', () => {
    const shard = { startingHashKey: 10n, endingHashKey: 20n }
    const texts = (hashKeys: readonly string[]) =>
      opened(
        hashKeys.map((explicitHashKey) => ({ key: 'k', text: explicitHashKey, explicitHashKey })),
        shard,
      ).map(({ text }) => text)
    expect(texts(['10', '20'])).toEqual(['10', '20'])
    expect(texts(['9', '10'])).toEqual([])
    expect(texts(['20', '21'])).toEqual([])
  })
})

const withDigest = (message: Buffer) =>
  Buffer.concat([
    Buffer.from('f3899ac2', 'hex'),
    message,
    createHash('md5').update(message).digest(),
  ])

describe('what only looks like an aggregate is a record of its own', () => {
  const good = aggregate([{ key: 'a', text: 'one' }])
  test.each([
    ['no magic', Buffer.from('plain')],
    ['magic alone', good.subarray(0, 4)],
    ['cut short', good.subarray(0, -1)],
    ['another digest', Buffer.concat([good.subarray(0, -1), Buffer.from([0])])],
    ['no protobuf', withDigest(Buffer.from([0xff, 0xff, 0xff]))],
    ['a key that is not in the table', withDigest(Buffer.from('1a0408051a00', 'hex'))],
    ['empty', Buffer.alloc(0)],
  ])('%s', (_, data) => {
    const record = recordWith(data)
    expect(openAggregate(record, wholeSpace)).toEqual([record])
  })

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(() =>
          openAggregate(recordWith(withDigest(Buffer.from(bytes))), wholeSpace),
        ).not.toThrow()
      }),
    )
  })
})

test('a consumer that stopped within an aggregate goes on with the rest of it', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  const put = (Data: Buffer) =>
    kinesis.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data }))
  await put(aggregate(numbered(5).map((text) => ({ key: `key-${text}`, text }))))
  await put(Buffer.from('5'))
  const checkpoints = createMemoryCheckpoints()
  const first = await startConsumer(lab, {
    stream: 's',
    checkpoints,
    batchRecordsMax: 2,
    attemptsMax: 1,
    handler: ({ records }) => {
      if (records.some(({ data }) => data.toString() === '3')) throw new Error('stop here')
    },
  })
  await expect(first.consumer.done).rejects.toThrow('stop here')
  const next = await startConsumer(lab, { stream: 's', checkpoints })
  await next.handled(4)
  expect(next.texts()).toEqual(['2', '3', '4', '5'])
})
