/** Workers of the Kinesis Client Library and `consume` on one lease table. */
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import {
  DescribeStreamSummaryCommand,
  PutRecordCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import type { KinesisClient } from '@aws-sdk/client-kinesis'
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../src/base/hash-key.ts'
import { systemClock } from '../../src/base/clock.ts'
import { openDynamoDbLeases } from '../../src/consumers/leases/dynamodb-leases.ts'
import { aggregate } from '../consumers/aggregate.ts'
import { numbered, putTexts, startConsumer } from '../consumers/consumer-parts.ts'
import type { Child } from '../helpers/child-process.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { startMoto } from '../moto/moto-server.ts'
import { installKcl } from './kcl/kcl-worker.ts'

const moto = await startMoto()
const kcl = await installKcl()
const endpoint = moto.isRunning ? moto.endpoint : ''
const reason = moto.isRunning ? (kcl.isThere ? undefined : kcl.reason) : moto.reason
const why = reason === undefined ? '' : ` cannot be had: ${reason}`
const credentials = { accessKeyId: 'lab', secretAccessKey: 'lab' }
const dynamodb = new DynamoDBClient({ region: 'us-east-1', endpoint, credentials })

async function worldWith(shardCount: number, texts: readonly string[]) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts)
  const application = `kcl-${randomUUID()}`
  const checkpoints = openDynamoDbLeases({
    region: 'us-east-1',
    endpoint,
    credentials,
    failoverMs: 2_000,
    checkpointIntervalMs: 100,
  })
  return {
    kinesis,
    /** The leases: the library keeps more in its table. */
    rows: async () => {
      const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: application }))
      return Items.filter((item) => item['leaseKey']?.S?.startsWith('shardId-'))
    },
    startOurs: () =>
      startConsumer(lab, {
        stream: 's',
        application,
        checkpoints,
        clock: systemClock,
      }),
    startKcl(release: 2 | 3): Child {
      if (!kcl.isThere) throw new Error(kcl.reason)
      const where = { kinesis: `http://127.0.0.1:${lab.port}`, dynamodb: endpoint, application }
      return kcl.start(where, release)
    },
  }
}

const textsOf = ({ lines }: Child) => lines.map((line) => line.split(' ')[1] ?? '')
const sorted = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b))

async function untilActive(kinesis: KinesisClient): Promise<void> {
  const command = new DescribeStreamSummaryCommand({ StreamName: 's' })
  await until(async () => {
    const { StreamDescriptionSummary: found } = await kinesis.send(command)
    return found?.StreamStatus === 'ACTIVE'
  })
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100))
}

describe.skipIf(why !== '')(`the Kinesis Client Library${why}`, () => {
  test('goes on after our checkpoints, also behind an aggregate', async () => {
    const world = await worldWith(2, numbered(20))
    const Data = aggregate(['20', '21', '22'].map((text) => ({ key: 'a', text })))
    await world.kinesis.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'a', Data }))
    const ours = await world.startOurs()
    await ours.handled(23)
    await ours.consumer.stop()
    await putTexts(world.kinesis, 's', numbered(20, 23))
    const worker = world.startKcl(2)
    await worker.printed(20)
    expect(sorted(textsOf(worker))).toEqual(numbered(20, 23))
  }, 180_000)

  // The library takes more than a minute to make a table.
  test('leaves a table that it has made to us when it is killed', async () => {
    const world = await worldWith(2, numbered(20))
    const worker = world.startKcl(2)
    await worker.printed(20)
    await until(async () =>
      (await world.rows()).every((row) => /^\d+$/.test(row['checkpoint']?.S ?? '')),
    )
    await worker.kill()
    await putTexts(world.kinesis, 's', numbered(20, 20))
    const ours = await world.startOurs()
    await ours.handled(20)
    expect(sorted(ours.texts())).toEqual(numbered(20, 20))
  }, 180_000)

  test.each([2, 3] as const)(
    'shares the shards with us, as release %i',
    async (release) => {
      const world = await worldWith(4, [])
      const first = await world.startOurs()
      await first.consumer.stop()
      await putTexts(world.kinesis, 's', numbered(100))
      const worker = world.startKcl(release)
      await worker.printed(100)
      const ours = await world.startOurs()
      const oursCount = async () => {
        const owned = (await world.rows()).filter((row) => row['checkpointOwner'] === undefined)
        return owned.filter((row) => !(row['leaseOwner']?.S ?? 'kcl-').startsWith('kcl-')).length
      }
      await until(async () => (await oursCount()) >= 2)
      await putTexts(world.kinesis, 's', numbered(100, 100))
      await world.kinesis.send(
        new SplitShardCommand({
          StreamName: 's',
          ShardToSplit: 'shardId-000000000000',
          NewStartingHashKey: String(hashKeySpace / 8n),
        }),
      )
      await untilActive(world.kinesis)
      await putTexts(world.kinesis, 's', numbered(100, 200))
      const all = () => [...textsOf(worker), ...ours.texts()]
      await until(() => new Set(all()).size === 300)
      expect(all().length).toBeLessThan(450)
      // What ours gives back is taken by the worker.
      await ours.consumer.stop()
      await putTexts(world.kinesis, 's', numbered(50, 300))
      await until(() => new Set(all()).size === 350)
    },
    300_000,
  )
})
