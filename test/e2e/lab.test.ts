import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { KinesisClient, ListShardsCommand } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const root = path.resolve(import.meta.dirname, '../..')
const lines = readFileSync(path.join(root, 'samples/environmental-telemetry.ndjson'), 'utf8')
  .trim()
  .split('\n')

interface Telemetry {
  readonly device: string
  readonly ts: number
}

describe('the whole path in `sluice lab`, on real input', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let sluice: SluiceProcess
  let kinesis: KinesisClient
  let ports: Record<string, number>

  beforeAll(async () => {
    folder = await temporaryFolder()
    sluice = startSluice(['lab'], {
      SLUICE_DATA_DIR: folder.path,
      SLUICE_RULES_DIR: path.join(root, 'rules'),
      // What a developer's shell may hold; the lab must not use any of it.
      AWS_PROFILE: 'production',
      AWS_ACCESS_KEY_ID: 'AKIAPRODUCTION',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL: 'http://192.0.2.1:9',
      AWS_ENDPOINT_URL_KINESIS: 'http://192.0.2.1:9',
    })
    ports = (await sluice.ready()) as unknown as Record<string, number>
    kinesis = new KinesisClient({
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${ports['kinesis']}`,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
  })

  afterAll(async () => {
    kinesis.destroy()
    sluice.kill('SIGKILL')
    await sluice.ended
    await folder.remove()
  })

  test('every message of the three devices arrives exactly once, in its shard, in order', async () => {
    const devices = new Map<string, string[]>()
    for (const line of lines) {
      const { device } = JSON.parse(line) as Telemetry
      devices.set(device, [...(devices.get(device) ?? []), line])
    }
    expect([...devices.keys()].toSorted()).toEqual([
      'iot-device-01',
      'iot-device-02',
      'iot-device-03',
    ])

    await Promise.all(
      [...devices].map(async ([device, payloads]) => {
        const client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`, { clientId: device })
        const topic = `env/${device}/telemetry`
        await Promise.all(payloads.map((line) => client.publishAsync(topic, line, { qos: 1 })))
        await client.endAsync()
      }),
    )

    const records = await readStream(kinesis, 'environmental-telemetry', lines.length)
    const { Shards: shards = [] } = await kinesis.send(
      new ListShardsCommand({ StreamName: 'environmental-telemetry' }),
    )
    expect(shards).toHaveLength(4)
    for (const [device, payloads] of devices) {
      const sent = payloads.map((line) => (JSON.parse(line) as Telemetry).ts)
      const mine = records.filter((record) => record.partitionKey === device)
      const arrived = mine.map((record) => JSON.parse(record.data.toString()) as Telemetry)
      expect(arrived.map(({ ts }) => ts)).toEqual(sent)
      expect(new Set(mine.map((record) => record.shardId))).toEqual(new Set([shardOf(device)]))
    }

    function shardOf(partitionKey: string): string | undefined {
      const hash = BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`)
      return shards.find(({ HashKeyRange: range }) => {
        const from = BigInt(range?.StartingHashKey ?? 0)
        return from <= hash && hash <= BigInt(range?.EndingHashKey ?? 0)
      })?.ShardId
    }
  })

  test('`SELECT *` hands on the exact bytes, binary ones too', async () => {
    const payloads = ['{ "a" : 1.0,\t"b":12345678901234567890 }', '\u0000\u0001 no JSON', '']
    const client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`)
    for (const payload of payloads) await client.publishAsync('some/topic', payload, { qos: 1 })
    await client.endAsync()

    const records = await readStream(kinesis, 'my_kinesis_stream', payloads.length)
    expect(records.map((record) => record.data.toString())).toEqual(payloads)
    expect(new Set(records.map((record) => record.partitionKey))).toEqual(new Set(['some/topic']))
  })

  test('a stream that a template names is created at its first record', async () => {
    const client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`)
    await client.publishAsync('inventory', '{"item": 4711}', { qos: 1 })
    await client.endAsync()

    const [record] = await readStream(kinesis, 'inventory', 1)
    expect(record?.data.toString()).toBe('{"item": 4711}')
    expect(record?.partitionKey).toMatch(/^\d{13}$/)
  })

  test('SIGTERM drains and exits 0', async () => {
    sluice.kill('SIGTERM')
    expect(await sluice.ended).toBe(0)
    expect(sluice.logLines.at(-1)).toMatchObject({ msg: 'stopped' })
    expect(sluice.stderr()).toBe('')
  })
})
