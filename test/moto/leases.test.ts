import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { SplitShardCommand } from '@aws-sdk/client-kinesis'
import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { hashKeySpace } from '../../src/base/hash-key.ts'
import { openDynamoDbLeaseTable } from '../../src/consumers/leases/dynamodb-lease-table.ts'
import { openDynamoDbLeases } from '../../src/consumers/leases/dynamodb-leases.ts'
import type { LeaseSettings } from '../../src/consumers/leases/lease-settings.ts'
import { numbered, putTexts, startConsumer } from '../consumers/consumer-parts.ts'
import { describeLeaseTable } from '../consumers/leases/lease-table-contract.ts'
import { startChild } from '../helpers/child-process.ts'
import type { Child } from '../helpers/child-process.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { startMoto } from './moto-server.ts'

const moto = await startMoto()
const endpoint = moto.isRunning ? moto.endpoint : ''
const why = moto.isRunning ? '' : ` cannot be had: ${moto.reason}`
const credentials = { accessKeyId: 'lab', secretAccessKey: 'lab' }
const dynamodb = new DynamoDBClient({ region: 'us-east-1', endpoint, credentials })
const script = new URL('./share-until-killed.ts', import.meta.url)

const leasesIn = (tableName: string, settings: Partial<LeaseSettings> = {}) =>
  openDynamoDbLeases({ region: 'us-east-1', endpoint, credentials, tableName, ...settings })

async function labWith(shardCount: number, texts: readonly string[]) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts)
  return { lab, kinesis, tableName: `leases-${randomUUID()}` }
}

async function rowsOf(tableName: string) {
  const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: tableName }))
  return Items.toSorted((left, right) =>
    String(left['leaseKey']?.S).localeCompare(String(right['leaseKey']?.S)),
  )
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50))
}

const textsOf = (children: readonly Child[]) =>
  children.flatMap(({ lines }) => lines.map((line) => line.split(' ')[1] ?? ''))

describe.skipIf(!moto.isRunning)(`leases in DynamoDB${why}`, () => {
  describe('are a table', () => {
    describeLeaseTable(async () => {
      const tableName = `leases-${randomUUID()}`
      const dependencies = {
        clock: systemClock,
        access: { region: 'us-east-1', endpoint, credentials },
      }
      return async (scope) => {
        const table = await openDynamoDbLeaseTable(dependencies, { scope, tableName }, undefined)
        onTestFinished(() => table.close())
        return table
      }
    })
  })

  test('let three processes share a stream; one that is killed leaves no record out', async () => {
    const { lab, kinesis, tableName } = await labWith(4, numbered(2_000))
    const start = () => startChild(script, [String(lab.port), endpoint, tableName])
    const children = [start(), start(), start()]
    const readers = async () =>
      new Set((await rowsOf(tableName)).map((row) => row['leaseOwner']?.S ?? ''))
    await children[0]?.printed(1)
    // Each process has a shard in the end.
    await until(async () => (await readers()).size === 3)
    await putTexts(kinesis, 's', numbered(2_000, 2_000))
    await kinesis.send(
      new SplitShardCommand({
        StreamName: 's',
        ShardToSplit: 'shardId-000000000000',
        NewStartingHashKey: String(hashKeySpace / 8n),
      }),
    )
    await children[1]?.kill()
    await putTexts(kinesis, 's', numbered(2_000, 4_000))
    const all = numbered(6_000)
    await until(() => {
      const seen = new Set(textsOf(children))
      return all.every((text) => seen.has(text))
    })
    // Repeated is at most what the killed one had not checkpointed, and a little at each handover.
    expect(textsOf(children).length).toBeLessThan(2 * all.length)
  }, 120_000)

  test('pass on when a process stands still, and it reads on when it goes on', async () => {
    const { lab, kinesis, tableName } = await labWith(2, numbered(1_000))
    const start = () => startChild(script, [String(lab.port), endpoint, tableName])
    const frozen = start()
    await frozen.printed(100)
    process.kill(frozen.pid, 'SIGSTOP')
    const other = start()
    await putTexts(kinesis, 's', numbered(1_000, 1_000))
    const hasAll = (children: readonly Child[], all: readonly string[]) => {
      const seen = new Set(textsOf(children))
      return all.every((text) => seen.has(text))
    }
    await until(() => hasAll([frozen, other], numbered(2_000)))
    const before = frozen.lines.length
    process.kill(frozen.pid, 'SIGCONT')
    await putTexts(kinesis, 's', numbered(1_000, 2_000))
    await until(() => hasAll([frozen, other], numbered(3_000)))
    // It hands over nothing of what the other one has read meanwhile.
    const late = textsOf([{ ...frozen, lines: frozen.lines.slice(before) }])
    expect(
      late.filter(
        (text) => Number(text) < 2_000 && other.lines.some((l) => l.endsWith(` ${text}`)),
      ),
    ).toEqual([])
  }, 60_000)

  test('go on where another consumer stopped, without waiting for the failover time', async () => {
    const { lab, kinesis, tableName } = await labWith(2, numbered(20))
    const checkpoints = leasesIn(tableName)
    const first = await startConsumer(lab, { stream: 's', checkpoints })
    await first.handled(20)
    await first.consumer.stop()
    expect((await rowsOf(tableName)).map((row) => row['leaseOwner'])).toEqual([
      undefined,
      undefined,
    ])
    await putTexts(kinesis, 's', numbered(5, 20))
    const second = await startConsumer(lab, { stream: 's', checkpoints })
    await second.handled(5)
    expect(second.texts().toSorted()).toEqual(numbered(5, 20))
  })

  test('hold the attributes of the KCL, on demand', async () => {
    const { lab, kinesis, tableName } = await labWith(1, numbered(3))
    await kinesis.send(
      new SplitShardCommand({
        StreamName: 's',
        ShardToSplit: 'shardId-000000000000',
        NewStartingHashKey: String(hashKeySpace / 2n),
      }),
    )
    const got = await startConsumer(lab, { stream: 's', checkpoints: leasesIn(tableName) })
    await got.handled(3)
    await until(async () => (await rowsOf(tableName))[0]?.['checkpoint']?.S === 'SHARD_END')
    await got.consumer.stop()
    const [parent, child] = await rowsOf(tableName)
    expect(parent).toMatchObject({
      leaseKey: { S: 'shardId-000000000000' },
      checkpoint: { S: 'SHARD_END' },
      checkpointSubSequenceNumber: { N: '0' },
      ownerSwitchesSinceCheckpoint: { N: '0' },
      childShardIds: { SS: ['shardId-000000000001', 'shardId-000000000002'] },
      startingHashKey: { S: '0' },
      endingHashKey: { S: String(hashKeySpace - 1n) },
      entityType: { S: 'LEASE' },
    })
    expect(child).toMatchObject({
      leaseKey: { S: 'shardId-000000000001' },
      checkpoint: { S: 'TRIM_HORIZON' },
      parentShardId: { SS: ['shardId-000000000000'] },
    })
    const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: tableName }))
    expect(Table?.BillingModeSummary?.BillingMode).toBe('PAY_PER_REQUEST')
  })

  test('are read as the KCL writes them', async () => {
    const { lab, kinesis, tableName } = await labWith(2, [])
    await putTexts(kinesis, 's', numbered(10), () => '1')
    const first = await startConsumer(lab, { stream: 's' })
    await first.handled(10)
    const [record] = first.records.filter(({ data }) => data.toString() === '4')
    await createTable(tableName, 'leaseKey', 'S')
    await dynamodb.send(
      new PutItemCommand({
        TableName: tableName,
        Item: {
          leaseKey: { S: record?.shardId ?? '' },
          leaseCounter: { N: '17' },
          leaseOwner: { S: 'a worker that is gone' },
          ownerSwitchesSinceCheckpoint: { N: '0' },
          checkpoint: { S: record?.sequenceNumber ?? '' },
          checkpointSubSequenceNumber: { N: '0' },
          throughputKBps: { N: '1.5' },
        },
      }),
    )
    await dynamodb.send(
      new PutItemCommand({
        TableName: tableName,
        Item: { leaseKey: { S: 'Leader' }, entityType: { S: 'LEADER' } },
      }),
    )
    const second = await startConsumer(lab, {
      stream: 's',
      checkpoints: leasesIn(tableName, { failoverMs: 1_000 }),
    })
    await second.handled(5)
    await second.consumer.stop()
    expect(second.texts()).toEqual(numbered(5, 5))
    const rows = await rowsOf(tableName)
    expect(rows.find((row) => row['leaseKey']?.S === record?.shardId)).toMatchObject({
      throughputKBps: { N: '1.5' },
      ownerSwitchesSinceCheckpoint: { N: '0' },
    })
  })

  test('refuse the checkpoint of a former owner', async () => {
    const { lab, kinesis, tableName } = await labWith(1, numbered(5))
    const taken = new EventEmitter()
    const got = await startConsumer(lab, {
      stream: 's',
      checkpoints: leasesIn(tableName),
      handler: async () => void (await once(taken, 'taken')),
    })
    await until(async () => (await rowsOf(tableName))[0]?.['leaseOwner'] !== undefined)
    // As a KCL worker takes a lease.
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: tableName,
        Key: { leaseKey: { S: 'shardId-000000000000' } },
        UpdateExpression: 'SET leaseOwner = :o ADD leaseCounter :one',
        ExpressionAttributeValues: { ':o': { S: 'thief' }, ':one': { N: '1' } },
      }),
    )
    taken.emit('taken')
    await putTexts(kinesis, 's', numbered(5, 5))
    await got.consumer.stop()
    const [row] = await rowsOf(tableName)
    expect(row?.['leaseOwner']).toEqual({ S: 'thief' })
    expect(row?.['checkpoint']).toEqual({ S: 'TRIM_HORIZON' })
  })

  test.each([
    ['another key', 'id', 'S', /has the key id \(S\) instead of leaseKey \(S\) alone/],
    ['a key of another type', 'leaseKey', 'N', /has the key leaseKey \(N\) instead of/],
  ] as const)('refuse a table with %s', async (_, key, type, message) => {
    const { lab, tableName } = await labWith(1, [])
    await createTable(tableName, key, type)
    await expect(
      startConsumer(lab, { stream: 's', checkpoints: leasesIn(tableName) }),
    ).rejects.toMatchObject({ code: 'LeaseTableUnusable', message: expect.stringMatching(message) })
  })

  test('refuse a table with the leases of another stream', async () => {
    const { lab, tableName } = await labWith(1, ['1'])
    lab.ensureStream('other', 1)
    const first = await startConsumer(lab, { stream: 'other', checkpoints: leasesIn(tableName) })
    await first.consumer.stop()
    await expect(
      startConsumer(lab, { stream: 's', checkpoints: leasesIn(tableName) }),
    ).rejects.toMatchObject({
      code: 'LeaseTableUnusable',
      message: expect.stringContaining('has leases of arn:aws:kinesis:us-east-1:'),
    })
  })

  test('of a stream that was deleted and made again are replaced', async () => {
    const { lab, tableName } = await labWith(1, ['1', '2'])
    const first = await startConsumer(lab, { stream: 's', checkpoints: leasesIn(tableName) })
    await first.handled(2)
    await first.consumer.stop()
    const again = await labWith(1, ['3'])
    const second = await startConsumer(again.lab, { stream: 's', checkpoints: leasesIn(tableName) })
    await second.handled(1)
    expect(second.texts()).toEqual(['3'])
  })
})

async function createTable(tableName: string, key: string, type: 'S' | 'N'): Promise<void> {
  await dynamodb.send(
    new CreateTableCommand({
      TableName: tableName,
      AttributeDefinitions: [{ AttributeName: key, AttributeType: type }],
      KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )
}
