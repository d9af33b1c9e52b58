/** Two brokers that hand each other messages, with clients of both versions of MQTT. */
import { connectAsync } from 'mqtt'
import type { IClientOptions, IPublishPacket } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { createNatsRelay } from '../../../src/cluster/relay/nats-relay.ts'
import { createRelayMetrics } from '../../../src/telemetry/cluster-metrics.ts'
import { createMetrics } from '../../../src/telemetry/telemetry.ts'
import { atTheEnd } from '../../helpers/at-the-end.ts'
import { startIngress, until } from '../../ingress/helpers.ts'
import { createMemoryNats } from './memory-nats.ts'

type Nats = ReturnType<typeof createMemoryNats>

const silent = { warn: () => true, error: () => true, warnOnce: () => true }

async function startNode(nats: Nats, origin: string, subjectsMax?: number) {
  const metrics = createRelayMetrics(createMetrics().registry)
  const relay = createNatsRelay(
    { connection: nats.connection, limitedLog: silent, metrics },
    { cluster: 'test', origin, subjectsMax },
  )
  const node = await startIngress(undefined, {}, undefined, undefined, undefined, undefined, relay)
  return { ...node, relay, relayMetrics: metrics }
}

async function startTwo(subjectsMax?: number) {
  const nats = createMemoryNats()
  const one = await startNode(nats, 'one', subjectsMax)
  const two = await startNode(nats, 'two', subjectsMax)
  return { nats, one, two }
}

type Got = Pick<IPublishPacket, 'topic' | 'qos' | 'retain'> & {
  readonly text: string
  readonly properties: IPublishPacket['properties'] | undefined
}

/** A client, and what it got. */
async function connect({ port }: { readonly port: number }, options: IClientOptions = {}) {
  const got: Got[] = []
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options })
  atTheEnd(() => client.endAsync(true))
  client.on('message', (topic, payload, { qos, retain, properties }) => {
    got.push({ topic, qos, retain, properties, text: payload.toString() })
  })
  return { client, got, texts: () => got.map(({ text }) => text) }
}

describe.each([4, 5] as const)('messages of other nodes, for a client of version %i', (version) => {
  test('come once, in order, and make no rule run again', async () => {
    const { one, two } = await startTwo()
    const { client, got, texts } = await connect(two, { protocolVersion: version })
    await client.subscribeAsync(['dt/+/t', 'dt/#'], { qos: 1 })
    const { client: device } = await connect(one, { protocolVersion: version })
    const sent = Array.from({ length: 50 }, (_, index) => `${index}`)
    await Promise.all(sent.map((text) => device.publishAsync('dt/7/t', text, { qos: 1 })))
    await device.publishAsync('dt/7/t', 'last', { qos: 1 })
    await until(() => texts().includes('last'))
    // A client of MQTT 3.1.1 gets it for each filter or once, and here once.
    expect(texts()).toEqual([...sent, 'last'])
    expect(got.at(-1)).toMatchObject({ topic: 'dt/7/t', qos: 1, retain: false })
    expect(one.messages).toHaveLength(51)
    expect(two.messages).toHaveLength(0)
  })

  test('are queued for an absent session', async () => {
    const { one, two } = await startTwo()
    const session = {
      protocolVersion: version,
      clientId: 'kept',
      clean: false,
      properties: version === 5 ? { sessionExpiryInterval: 600 } : undefined,
    } as IClientOptions
    const { client } = await connect(two, session)
    await client.subscribeAsync('cmd/kept', { qos: 1 })
    await client.endAsync()
    const { client: sender } = await connect(one)
    await sender.publishAsync('cmd/kept', 'wake up', { qos: 1 })
    await until(async () => (await two.metric('mqttQueuedBytes')) > 0)
    const back = await connect(two, session)
    await until(() => back.got.length > 0)
    expect(back.got).toMatchObject([{ topic: 'cmd/kept', qos: 1, text: 'wake up' }])
  })
})

test('what no client has published comes, too', async () => {
  const { one, two } = await startTwo()
  const { client, texts } = await connect(two)
  await client.subscribeAsync('#')
  const message = { qos: 1, retain: false, transport: 'http', timestampMs: 0 } as const
  await one.ingress.publish({ ...message, topic: 'a', payload: Buffer.from('by HTTP') })
  await one.ingress.distribute({ ...message, topic: 'b', payload: Buffer.from('by a rule') })
  await until(() => texts().length === 2)
  expect(texts()).toEqual(['by HTTP', 'by a rule'])
  expect(two.messages).toEqual([])
})

test('properties of MQTT 5 come along', async () => {
  const { one, two } = await startTwo()
  const { client, got } = await connect(two, { protocolVersion: 5 })
  await client.subscribeAsync('#')
  const { client: device } = await connect(one, { protocolVersion: 5 })
  const properties = {
    contentType: 'text/plain',
    responseTopic: 'back',
    correlationData: Buffer.from([0, 255]),
    userProperties: { a: 'b' },
    messageExpiryInterval: 60,
  }
  await device.publishAsync('a', 'x', { properties })
  await until(() => got.length > 0)
  const { messageExpiryInterval, ...others } = properties
  expect(got[0]?.properties).toMatchObject(others)
  // Parts of a second are left out.
  const leftSeconds = got[0]?.properties?.messageExpiryInterval
  expect([messageExpiryInterval, messageExpiryInterval - 1]).toContain(leftSeconds)
})

test('a client that wants none of its own gets none of them from another node', async () => {
  const { one, two } = await startTwo()
  const { client, texts } = await connect(two, { protocolVersion: 5, clientId: 'same' })
  await client.subscribeAsync('a', { qos: 0, nl: true })
  const { client: earlier } = await connect(one, { protocolVersion: 5, clientId: 'same' })
  const { client: other } = await connect(one, { protocolVersion: 5 })
  await earlier.publishAsync('a', 'own')
  await other.publishAsync('a', 'of another')
  await until(() => texts().length > 0)
  expect(texts()).toEqual(['of another'])
})

test('a node gets what its clients want, and nothing when they want nothing', async () => {
  const { nats, one, two } = await startTwo()
  expect(nats.subjects()).toEqual([])
  const { client } = await connect(two)
  await client.subscribeAsync(['a/b', 'c/+'])
  expect(nats.subjects()).toEqual([
    'sluice.test.mqtt.t.a.b',
    'sluice.test.mqtt.t.c.*',
    'sluice.test.mqtt.long',
  ])
  const { client: device } = await connect(one)
  for (const topic of ['x', 'a/c', '$aws/rules/r/a/b'])
    await device.publishAsync(topic, '', { qos: 1 })
  await client.unsubscribeAsync('a/b')
  await until(() => nats.subjects().length === 2)
  await client.endAsync()
  await until(() => nats.subjects().length === 0)
  expect(await valueOf(two.relayMetrics.messages)).toBe(0)
})

test('beyond a number of subjects a node gets everything, until half of them are left', async () => {
  const { nats, one, two } = await startTwo(4)
  const { client, texts } = await connect(two)
  const filters = ['a', 'b', 'c', 'd', 'e']
  await client.subscribeAsync(filters)
  expect(nats.subjects()).toEqual(['sluice.test.mqtt.>'])
  const { client: device } = await connect(one)
  for (const topic of [...filters, 'f']) await device.publishAsync(topic, topic, { qos: 1 })
  await until(() => texts().length === 5)
  expect(texts()).toEqual(filters)
  await client.unsubscribeAsync(['a', 'b', 'c'])
  await until(() => nats.subjects().length === 2)
  await device.publishAsync('d', 'again', { qos: 1 })
  await until(() => texts().length === 6)
})

test('groups of shared subscriptions deal out what is published at their own node', async () => {
  const { one, two } = await startTwo()
  const there = await connect(two)
  const here = await connect(one)
  const plain = await connect(two)
  await there.client.subscribeAsync('$share/g/a', { qos: 1 })
  await here.client.subscribeAsync('$share/g/a', { qos: 1 })
  await plain.client.subscribeAsync('a')
  const { client: device } = await connect(one)
  await device.publishAsync('a', 'x', { qos: 1 })
  await until(() => here.texts().length + plain.texts().length === 2)
  expect(there.texts()).toEqual([])
})

test('without a connection to NATS subscribers here get all, and what others miss is counted', async () => {
  const { nats, one, two } = await startTwo()
  const here = await connect(one)
  const there = await connect(two)
  await here.client.subscribeAsync('a')
  await there.client.subscribeAsync('a')
  nats.tell('disconnect')
  await new Promise((resolve) => setImmediate(resolve))
  await one.ingress.publish({
    topic: 'a',
    payload: Buffer.from('lost'),
    qos: 1,
    retain: false,
    transport: 'http',
    timestampMs: 0,
  })
  await until(() => here.texts().length === 1)
  expect(await valueOf(one.relayMetrics.dropped)).toBe(1)
  nats.tell('reconnect')
  await new Promise((resolve) => setImmediate(resolve))
  await here.client.publishAsync('a', 'again', { qos: 1 })
  await until(() => there.texts().length === 1)
  expect(there.texts()).toEqual(['again'])
})

test('what cannot be read is dropped and counted', async () => {
  const { nats, two } = await startTwo()
  const { client, texts } = await connect(two)
  await client.subscribeAsync('a')
  const subject = 'sluice.test.mqtt.t.a'
  const { publish } = nats.connection as { publish: (subject: string, data: Uint8Array) => void }
  const head = { v: 1, o: 'three', n: 1, t: 'a', q: 0 }
  const damaged = [{ p: { d: 5 } }, { p: 'x' }, { c: 5 }, { t: '' }, { t: 'a/+' }, { q: 3 }]
  for (const members of damaged) {
    const text = Buffer.from(JSON.stringify({ ...head, ...members }))
    const length = Buffer.from([0, 0, 0, text.length])
    publish(subject, Buffer.concat([length, text]))
  }
  for (const text of ['', 'abc', '\0\0\0\u{2}{}', '\0\0\0\u{7f}{}'])
    publish(subject, Buffer.from(text))
  await until(async () => (await valueOf(two.relayMetrics.dropped)) === 4 + damaged.length)
  expect(texts()).toEqual([])
})

const valueOf = async (metric: { get(): Promise<{ readonly values: { value: number }[] }> }) =>
  (await metric.get()).values.reduce((sum, { value }) => sum + value, 0)
