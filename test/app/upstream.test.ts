import { once } from 'node:events'
import path from 'node:path'
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { build } from 'esbuild'
import { expect, onTestFinished, test } from 'vitest'
import { startBroker } from '../upstream/upstream-fixtures.ts'
import { startLab } from './lab-fixtures.ts'

const roleArn = 'arn:aws:iam::000000000000:role/any'
const root = path.resolve(import.meta.dirname, '../..')

test('messages of another broker run the rules and reach subscribers', async () => {
  const broker = await startBroker()
  const lab = await startLab(onTestFinished, () => ({
    SLUICE_UPSTREAM_URL: `mqtt://127.0.0.1:${broker.port}`,
    SLUICE_UPSTREAM_MQTT_VERSION: '3.1.1',
    SLUICE_UPSTREAM_FILTERS: '#,$aws/#',
  }))
  await lab.createRule('hot', {
    sql: "SELECT temp, clientid() AS via FROM 'plant/+' WHERE temp > 50",
    actions: [{ kinesis: { streamName: 'hot', partitionKey: 'k', roleArn } }],
  })
  const subscriber = await lab.connect('here', ['plant/#', '$aws/things/pump/shadow/#'])
  const health = async () => (await fetch(`${lab.url}/v1/health`)).json()
  if (broker.aedes.connectedClients === 0) await once(broker.aedes, 'clientReady')
  while (JSON.stringify(await health()) !== '{"status":"ok"}') await once(broker.aedes, 'subscribe')

  await broker.publish('$aws/things/pump/shadow/update', '{"state": {"reported": {"on": true}}}')
  await broker.publish('plant/7', '{"temp": 61}')
  expect(await subscriber.next()).toEqual(['plant/7', { temp: 61 }])
  await expect.poll(() => broker.acknowledged.length).toBe(2)
  // The other broker has shadows of its own.
  const shadow = await fetch(`${lab.url}/things/pump/shadow`)
  expect(shadow.status).toBe(404)

  const metrics = await (await fetch(`${lab.url}/v1/metrics`)).text()
  expect(metrics).toContain(`sluice_upstream_connected{broker="127.0.0.1:${broker.port}"} 1`)
  expect(metrics).toContain('sluice_upstream_messages_total{outcome="durable"} 2')

  const kinesis = new KinesisClient({
    region: 'us-east-1',
    endpoint: lab.kinesisUrl,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  onTestFinished(() => kinesis.destroy())
  const read = async () => {
    const found = []
    for (const shard of [0, 1, 2, 3]) {
      const { ShardIterator } = await kinesis.send(
        new GetShardIteratorCommand({
          StreamName: 'hot',
          ShardId: `shardId-00000000000${shard}`,
          ShardIteratorType: 'TRIM_HORIZON',
        }),
      )
      const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }))
      found.push(...Records.map(({ Data }) => JSON.parse(Buffer.from(Data ?? '').toString())))
    }
    return found as unknown[]
  }
  await expect.poll(read).toEqual([{ temp: 61, via: expect.stringMatching(/^sluice-/) as string }])

  await broker.down()
  await expect.poll(health).toEqual({ status: 'degraded', reasons: ['upstreamDisconnected'] })
})

test('a lab does not read itself', async () => {
  const lab = await startLab()
  const port = new URL(lab.mqttUrl).port
  await lab.stop()
  const again = await startLab(onTestFinished, () => ({
    SLUICE_MQTT_PORT: port,
    SLUICE_UPSTREAM_URL: `mqtt://127.0.0.1:${port}`,
  }))
  const told = () => again.lines.map(({ msg }) => String(msg))
  await expect
    .poll(told)
    .toContainEqual(
      expect.stringMatching(/^the upstream broker is not connected: it is this engine itself/),
    )
})

test('neither the room nor its client of MQTT is loaded without the variable', async () => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/app/app.ts'],
    outdir: 'nowhere',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    metafile: true,
    write: false,
    logLevel: 'error',
  })
  const outputs = Object.entries(metafile.outputs)
  const [entry] = outputs.find(([, { entryPoint }]) => entryPoint === 'src/app/app.ts') ?? []
  const loaded = new Set<string>()
  const load = (file: string): void => {
    if (loaded.has(file)) return
    loaded.add(file)
    for (const { path: imported, kind } of metafile.outputs[file]?.imports ?? []) {
      if (kind === 'import-statement') load(imported)
    }
  }
  load(entry ?? '')
  const sources = [...loaded].flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}))
  expect(sources).toContain('src/app/upstream-stage.ts')
  expect(sources.filter((file) => file.startsWith('src/upstream/'))).toEqual([])
  expect([...loaded]).toContain('aedes')
  expect([...loaded]).not.toContain('mqtt')
  // It is loaded by the stage when there is such a broker.
  const all = outputs.flatMap(([, { imports }]) => imports.map(({ path: imported }) => imported))
  expect(all).toContain('mqtt')
})
