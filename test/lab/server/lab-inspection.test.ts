import { PutRecordCommand, PutRecordsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import type { LabServer } from '../../../src/lab/server/lab-server.ts'
import { startLabWorker } from '../../../src/lab/worker/lab-worker.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, kinesisClient, noDelays, region, startLab } from '../lab-fixtures.ts'

const startMs = 1_700_000_000_000
const stream = { streamName: 's' }
const whole = { position: 'TRIM_HORIZON', maxResults: 100 } as const

/** A stream of two shards, and a function that puts a record a second. */
async function openStream(options: Partial<Parameters<typeof startLab>[0]> = {}) {
  const clock = createManualClock(startMs)
  const lab = await startLab({ clock, statusMs: noDelays, ...options })
  lab.ensureStream('s', 2)
  const client = kinesisClient(lab)
  const put = async (PartitionKey: string, text: string | Uint8Array = PartitionKey) => {
    clock.advance(1_000)
    const Data = typeof text === 'string' ? Buffer.from(text) : text
    const answer = await client.send(new PutRecordCommand({ StreamName: 's', PartitionKey, Data }))
    return answer as { ShardId: string; SequenceNumber: string }
  }
  const keysOf = (query: Parameters<LabServer['inspection']['records']>[1]) =>
    lab.inspection.records(stream, query).records.map(({ partitionKey }) => partitionKey)
  return { clock, lab, client, put, keysOf }
}

describe('records', () => {
  test('of all shards come in the order of their arrival, page by page', async () => {
    const { clock, lab, put } = await openStream()
    const keys = ['a', 'b', 'c', 'd', 'e']
    const shards = new Set<string>()
    for (const key of keys) shards.add((await put(key)).ShardId)
    expect(shards.size).toBe(2)
    clock.advance(1)
    const seen: string[] = []
    let nextToken: string | undefined
    do {
      const page = lab.inspection.records(stream, { ...whole, maxResults: 2, nextToken })
      seen.push(...page.records.map(({ data }) => Buffer.from(data).toString()))
      nextToken = page.nextToken
    } while (nextToken !== undefined)
    expect(seen).toEqual(keys)
  })

  test('are read from each position, as the SDK was told their numbers', async () => {
    const { clock, lab, put, keysOf } = await openStream()
    const first = await put('a')
    await put('b')
    const { SequenceNumber: sequenceNumber, ShardId: shardId } = await put('c')
    await put('c')
    await put('a')
    clock.advance(1)
    expect(keysOf({ position: 'LATEST', maxResults: 2 })).toEqual(['c', 'a'])
    expect(keysOf({ ...whole, position: 'AT_TIMESTAMP', timestampMs: startMs + 4_000 })).toEqual([
      'c',
      'a',
    ])
    const after = { ...whole, position: 'AFTER_SEQUENCE_NUMBER', sequenceNumber } as const
    expect(keysOf(after)[0]).toBe('c')
    expect(keysOf({ ...whole, shardId })).toContain('c')
    const [record] = lab.inspection.records(stream, whole).records
    expect(record).toMatchObject({ ...stringsOf(first), partitionKey: 'a', bytes: 1 })
    expect(record?.arrivalMs).toBe(startMs + 1_000)
    for (const wrong of ['0', `${sequenceNumber}0`]) {
      expect(() => keysOf({ ...after, sequenceNumber: wrong })).toThrow('has not assigned')
    }
    expect(() => keysOf({ ...whole, shardId: 'shardId-000000000007' })).toThrow('has no shard')
  })

  test('that come later are read with the token of an earlier page', async () => {
    const { clock, lab, put } = await openStream()
    const latest = { position: 'LATEST', maxResults: 10 } as const
    const empty = lab.inspection.records(stream, latest)
    expect(empty.records).toEqual([])
    await put('a')
    // A record of this very millisecond could still come before it, in the other shard.
    const query = { ...latest, nextToken: empty.resumeToken }
    expect(lab.inspection.records(stream, query).records).toEqual([])
    clock.advance(1)
    const page = lab.inspection.records(stream, query)
    expect(page.records).toHaveLength(1)
    await put('b')
    clock.advance(1)
    const next = lab.inspection.records(stream, { ...latest, nextToken: page.resumeToken })
    expect(next.records.map(({ partitionKey }) => partitionKey)).toEqual(['b'])
  })

  test('have a bound of bytes, each of them and all of a page', async () => {
    const { clock, lab, put } = await openStream()
    const large = new Uint8Array(200 * 1_024).fill(1)
    for (let count = 0; count < 10; count++) await put('a', large)
    clock.advance(1)
    const { records, nextToken } = lab.inspection.records(stream, whole)
    expect(records).toHaveLength(8)
    expect(records[0]).toMatchObject({ bytes: large.length })
    expect(records[0]?.data.length).toBe(128 * 1_024)
    expect(nextToken).toBeDefined()
    expect(lab.inspection.records(stream, { ...whole, position: 'LATEST' }).records).toHaveLength(8)
  })
})

describe('a stream', () => {
  test('shows the load of the last minute and the hottest keys', async () => {
    const { clock, lab, client, put } = await openStream()
    await put('old')
    clock.advance(60_000)
    const Records = ['x', 'x', 'x', 'y'].map((PartitionKey) => ({
      PartitionKey,
      Data: Buffer.from('data'),
    }))
    await client.send(new PutRecordsCommand({ StreamName: 's', Records }))
    await put('x')
    const seen = lab.inspection.stream(stream)
    const sum = (read: (shard: (typeof seen.shards)[number]) => number) =>
      seen.shards.reduce((total, shard) => total + read(shard), 0)
    expect(seen).toMatchObject({ openShards: 2, records: 6, load: { records: 5, bytes: 22 } })
    expect(sum(({ load }) => load.records)).toBe(5)
    expect(sum(({ load }) => load.bytes)).toBe(22)
    expect(Math.max(...seen.shards.map(({ load }) => load.recordsInSecondMax))).toBeGreaterThan(2)
    const hottest = seen.shards.flatMap(({ hottestKeys }) => hottestKeys)
    expect(hottest).toContainEqual({ partitionKey: 'x', records: 4, bytes: 17 })
    expect(hottest.some(({ partitionKey }) => partitionKey === 'old')).toBe(false)
    await put('61.5', '{"temp": 61.5}')
    const redacted = lab.inspection.stream(stream, ['temp'])
    const keys = redacted.shards.flatMap(({ hottestKeys }) => hottestKeys)
    expect(keys.map(({ partitionKey }) => partitionKey).toSorted()).toEqual([
      '[redacted]',
      'x',
      'y',
    ])
    clock.advance(60_001)
    expect(lab.inspection.streams()).toMatchObject([{ load: { records: 0, bytes: 0 } }])
  })

  test('shows closed shards with their children, and is found by its ARN', async () => {
    const { lab, client } = await openStream()
    const NewStartingHashKey = String(hashKeySpace / 4n)
    const ShardToSplit = 'shardId-000000000000'
    await client.send(new SplitShardCommand({ StreamName: 's', ShardToSplit, NewStartingHashKey }))
    const streamArn = `arn:aws:kinesis:${region}:${accountId}:stream/s`
    expect(lab.inspection.stream({ ...stream, streamArn })).toMatchObject({
      openShards: 3,
      closedShards: 1,
      shards: [
        {
          shardId: ShardToSplit,
          isOpen: false,
          endingSequenceNumber: expect.any(String) as string,
        },
        { isOpen: true },
        { isOpen: true, parentShardIds: [ShardToSplit], startingHashKey: '0' },
        { isOpen: true, parentShardIds: [ShardToSplit], startingHashKey: NewStartingHashKey },
      ],
    })
    expect(() => lab.inspection.stream({ ...stream, streamArn: `${streamArn}x` })).toThrow(
      'no stream',
    )
  })
})

test('a thread answers the same questions, and gives the errors of the lab', async () => {
  const logger = createMemoryLogger(() => undefined)
  const options = { host: '127.0.0.1', port: 0, region, accountId, logger }
  const worker = await startLabWorker(options)
  onTestFinished(() => worker.close())
  const { inspection } = worker
  await worker.ensureStream('s')
  expect(await inspection.streams()).toMatchObject([{ streamName: 's', openShards: 4 }])
  expect(await inspection.records(stream, whole)).toMatchObject({ records: [] })
  const rule = { operation: 'PutRecord', effect: { kind: 'dropCall' } }
  const { id } = await inspection.addFault(rule)
  expect(await inspection.faults()).toEqual([{ id, rule, appliedCount: 0 }])
  await inspection.removeFault(id)
  await expect(inspection.removeFault(id)).rejects.toMatchObject({
    code: 'ResourceNotFoundException',
  })
  await expect(inspection.addFault({ effect: 1 })).rejects.toMatchObject({
    code: 'InvalidRequestException',
  })
  await inspection.removeFaults()
  await expect(inspection.stream({ streamName: 'absent' })).rejects.toMatchObject({
    code: 'ResourceNotFoundException',
  })
})

const stringsOf = ({
  ShardId: shardId,
  SequenceNumber: sequenceNumber,
}: Record<string, string>) => ({
  shardId,
  sequenceNumber,
})
