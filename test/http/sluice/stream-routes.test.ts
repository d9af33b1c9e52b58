import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { HttpServerDependencies } from '../../../src/http/http-server.ts'
import { destination } from '../../outbox/outbox-parts.ts'
import { startServer } from '../http-fixtures.ts'

type Sent = ReturnType<HttpServerDependencies['sentStreams']>[number]

const range = (number: bigint) => ({
  shardId: `shardId-00000000000${number}`,
  startingHashKey: number * 2n ** 127n,
  endingHashKey: (number + 1n) * 2n ** 127n - 1n,
})
const shard = (number: bigint, more: Partial<Sent['shards'][number]> = {}) => ({
  shardId: range(number).shardId,
  range: range(number),
  sent: { records: 0, bytes: 0 },
  isThrottled: false,
  ...more,
})

test('with `sluice start` streams are those that the producer sends to', async () => {
  const asked: boolean[] = []
  const countedSinceMs = systemClock.monotonicMs()
  const sent: Sent = {
    destination: destination('orders'),
    isListed: true,
    countedSinceMs,
    shards: [
      shard(0n, { sent: { records: 3, bytes: 300 } }),
      shard(1n, { isThrottled: true, dueMs: countedSinceMs + 60_000 }),
    ],
  }
  const ofAnotherRole: Sent = {
    ...sent,
    isListed: false,
    shards: [{ ...shard(0n), range: undefined, sent: { records: 1, bytes: 50 } }],
  }
  const streams = (asks: boolean) => {
    asked.push(asks)
    return [sent, ofAnotherRole]
  }
  const { url } = await startServer({ dependencies: { sentStreams: streams } })
  const get = async (path: string) => (await (await fetch(`${url}${path}`)).json()) as object
  expect(await get('/v1/streams')).toMatchObject({
    isLab: false,
    streams: [
      {
        streamName: 'orders',
        openShards: 2,
        throttledShards: 1,
        load: { records: 4, bytes: 350 },
        countedSince: expect.stringMatching(/^2023-11-14T22:13:/) as string,
      },
    ],
  })
  expect(await get('/v1/streams/orders')).toMatchObject({
    streamName: 'orders',
    shards: [
      {
        shardId: 'shardId-000000000000',
        isOpen: true,
        startingHashKey: '0',
        load: { records: 4, bytes: 350 },
        isThrottled: false,
      },
      {
        shardId: 'shardId-000000000001',
        isThrottled: true,
        throttledUntil: expect.stringMatching(/^2023-11-14T22:14:/) as string,
      },
    ],
  })
  expect(await get('/v1/streams/orders/records')).toMatchObject({
    message: expect.stringContaining('aws kinesis get-records') as string,
  })
  expect(asked).toEqual([true, true])
})
