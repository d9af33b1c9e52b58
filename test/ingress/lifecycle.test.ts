import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { normalizeAddress } from '../../src/ingress/broker/connection.ts'
import type { Message } from '../../src/message.ts'
import {
  atTheEnd,
  connectRaw,
  createManualIngest,
  publishPacket,
  settle,
  startIngress,
  until,
} from './helpers.ts'

const posted = (overrides: Partial<Message> = {}): Message => ({
  topic: 'a/b',
  payload: Buffer.from('x'),
  qos: 1,
  retain: false,
  transport: 'http',
  timestampMs: 1,
  ...overrides,
})

async function subscribeAll(port: number) {
  const subscriber = await connectRaw(port, { clientId: 'subscriber' })
  subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
  await subscriber.next()
  return subscriber
}

describe('a message', () => {
  test('carries what is known of the sending', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port, { clientId: 'sensor-1' })
    const beforeMs = systemClock.wallMs()
    client.send(publishPacket({ qos: 2, retain: true, payload: '{"t":1}' }))
    await client.next()
    const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
    expect(messages).toEqual([
      {
        topic: 'a/b',
        payload: Buffer.from('{"t":1}'),
        qos: 2,
        retain: true,
        transport: 'mqtt',
        clientId: 'sensor-1',
        sourceIp: '127.0.0.1',
        traceId: expect.stringMatching(uuid),
        timestampMs: expect.any(Number),
      },
    ])
    expect(messages[0]?.timestampMs).toBeGreaterThanOrEqual(beforeMs)
  })
})

test('a client without a client id gets one from the broker', async () => {
  const { port, messages } = await startIngress()
  const client = await connectRaw(port, { clientId: '' })
  client.send(publishPacket())
  await client.next()
  expect(messages[0]?.clientId).toMatch(/^sluice_[0-9a-f-]{36}$/)
})

describe('Basic Ingest', () => {
  const topics: [wire: string, rule: string, topic: string][] = [
    ['$aws/rules/Rule_1/a/b', 'Rule_1', 'a/b'],
    ['$aws/rules/r/$aws/x', 'r', '$aws/x'],
    ['$aws/rules/r', 'r', ''],
  ]
  test.each(topics)('%s goes to one rule and to no subscriber', async (wire, rule, topic) => {
    const { port, messages, ingress } = await startIngress()
    const absent = await connectRaw(port, { clientId: 'absent', clean: false })
    absent.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
    await absent.next()
    absent.destroy()
    const subscriber = await subscribeAll(port)
    const client = await connectRaw(port)
    client.send(
      publishPacket({ topic: wire, qos: 1, messageId: 1 }),
      publishPacket({ topic: wire, qos: 2, messageId: 2 }),
      publishPacket({ topic: wire, qos: 0 }),
      publishPacket({ topic: 'last', messageId: 3 }),
    )
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 })
    expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 2 })
    await ingress.publish(posted({ topic: wire }))
    expect(messages.map((message) => [message.basicIngestRule, message.topic])).toEqual([
      [rule, topic],
      [rule, topic],
      [rule, topic],
      [undefined, 'last'],
      [rule, topic],
    ])
    expect(await subscriber.next()).toMatchObject({ topic: 'last' })
    const returned = await connectRaw(port, { clientId: 'absent', clean: false })
    expect(await returned.next()).toMatchObject({ topic: 'last' })
    await settle()
    expect([...subscriber.waiting, ...returned.waiting]).toEqual([])
  })
})

describe('publish', () => {
  test('ingests, then distributes', async () => {
    const manual = createManualIngest()
    const { port, ingress, messages, metric } = await startIngress(manual.ingest)
    const subscriber = await subscribeAll(port)
    const message = posted()
    const published = ingress.publish(message)
    expect(messages).toEqual([message])
    await settle()
    expect(subscriber.waiting).toEqual([])
    manual.resolveAll()
    await published
    expect(await subscriber.next()).toMatchObject({ cmd: 'publish', topic: 'a/b', qos: 1 })
    expect(await metric('messagesAcknowledged', { transport: 'http', qos: 1 })).toBe(1)
  })

  test('rejects with what ingest rejects with, and distributes nothing', async () => {
    const failure = new Error('disk full')
    const { port, ingress } = await startIngress(() => Promise.reject(failure))
    const subscriber = await subscribeAll(port)
    await expect(ingress.publish(posted())).rejects.toBe(failure)
    await settle()
    expect(subscriber.waiting).toEqual([])
  })

  const bad: [code: string, overrides: Partial<Message>][] = [
    ['InvalidRequestException', { topic: '' }],
    ['InvalidRequestException', { topic: 'a/+' }],
    ['InvalidRequestException', { topic: 'a\ud800' }],
    ['InvalidRequestException', { topic: '$SYS/a' }],
    ['PayloadTooLarge', { payload: Buffer.alloc(128 * 1024 + 1) }],
  ]
  test.each(bad)('%s for %o', async (code, overrides) => {
    const { ingress, messages } = await startIngress()
    await expect(ingress.publish(posted(overrides))).rejects.toMatchObject({ code })
    expect(messages).toEqual([])
  })
})

describe('wills and retained messages', () => {
  const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const

  test('a will is ingested once and distributed', async () => {
    const { port, messages } = await startIngress()
    const subscriber = await subscribeAll(port)
    const client = await connectRaw(port, { will })
    client.destroy()
    expect(await subscriber.next()).toMatchObject({ topic: 'gone', payload: Buffer.from('bye') })
    await settle()
    expect(messages).toEqual([
      expect.objectContaining({ topic: 'gone', clientId: 'raw', sourceIp: '127.0.0.1' }),
    ])
  })

  test('a will that cannot be made durable is not distributed', async () => {
    const { port, messages, warnings } = await startIngress(() => Promise.reject(new Error('full')))
    const subscriber = await subscribeAll(port)
    const client = await connectRaw(port, { will })
    client.destroy()
    await until(() => warnings().length === 1)
    await settle()
    expect(messages.length).toBe(1)
    expect(subscriber.waiting).toEqual([])
  })

  test('a will may be Basic Ingest', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port, { will: { ...will, topic: '$aws/rules/r/gone' } })
    client.destroy()
    await until(() => messages.length === 1)
    expect(messages[0]).toMatchObject({ topic: 'gone', basicIngestRule: 'r' })
  })

  test('DISCONNECT discards the will', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port, { will })
    client.send({ cmd: 'disconnect' })
    await client.closed
    await settle()
    expect(messages).toEqual([])
  })

  test('a retained message reaches a later subscriber', async () => {
    const { port } = await startIngress()
    const client = await connectRaw(port)
    client.send(publishPacket({ retain: true, payload: 'kept' }))
    await client.next()
    const subscriber = await subscribeAll(port)
    expect(await subscriber.next()).toMatchObject({ retain: true, payload: Buffer.from('kept') })
  })
})

describe('listen', () => {
  test('a taken port is one line that names it', async () => {
    const host = '127.0.0.1'
    const { port } = await startIngress()
    await expect(startIngress(undefined, {}, { host, port })).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringMatching(
        new RegExp(`^MQTT cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use [^\\n]*$`),
      ),
    })
  })

  const addresses: [given: string | undefined, shown: string | undefined][] = [
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
    [undefined, undefined],
  ]
  test.each(addresses)('the address %s is shown as %s', (given, shown) => {
    expect(normalizeAddress(given)).toBe(shown)
  })
})

describe('close', () => {
  test('PUBLISHes under way are answered; then all clients are disconnected', async () => {
    const manual = createManualIngest()
    const { port, ingress, messages, metric } = await startIngress(manual.ingest, {
      drainMs: 5_000,
    })
    const client = await connectRaw(port)
    const idle = await connectRaw(port, { clientId: 'idle' })
    client.send(publishPacket())
    await until(() => messages.length === 1)
    const closed = ingress.close()
    expect(ingress.close()).toBe(closed)
    client.send(publishPacket({ messageId: 2 }))
    await settle()
    expect(idle.isClosed).toBe(false)
    await expect(ingress.publish(posted())).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
    })
    manual.resolveAll()
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 })
    await closed
    await Promise.all([client.closed, idle.closed])
    expect(messages.length).toBe(1)
    expect(await metric('mqttConnections')).toBe(0)
    await expect(connectRaw(port)).rejects.toThrow('ECONNREFUSED')
  })

  test('a client without an answer after drainMs is disconnected', async () => {
    const { port, ingress, messages } = await startIngress(() => new Promise(() => {}), {
      drainMs: 50,
    })
    const client = await connectRaw(port)
    client.send(publishPacket())
    await until(() => messages.length === 1)
    await ingress.close()
    await client.closed
    expect(client.waiting).toEqual([])
  })

  test('it waits for wills', async () => {
    const manual = createManualIngest()
    const { port, ingress, messages } = await startIngress(manual.ingest, { drainMs: 5_000 })
    const will = { topic: 'gone', payload: Buffer.from('x'), qos: 1, retain: false } as const
    await connectRaw(port, { will })
    let isClosed = false
    const closed = ingress.close().then(() => (isClosed = true))
    await until(() => messages.length === 1)
    await settle()
    expect(isClosed).toBe(false)
    manual.resolveAll()
    await closed
  })

  test('without a listener, or called twice, it does nothing', async () => {
    const { ingress } = await startIngress()
    await ingress.close()
    await expect(ingress.close()).resolves.toBeUndefined()
  })

  test('an mqtt.js client comes back to a new broker on the port and sends again', async () => {
    const first = await startIngress(() => new Promise(() => {}), { drainMs: 10 })
    const client = await mqtt.connectAsync({ port: first.port, clientId: 'c', reconnectPeriod: 20 })
    atTheEnd(() => client.end(true))
    const published = client.publishAsync('a', 'x', { qos: 1 })
    await until(() => first.messages.length === 1)
    await first.ingress.close()
    const address = { host: '127.0.0.1', port: first.port }
    const second = await startIngress(undefined, {}, address)
    await published
    expect(second.messages).toMatchObject([{ topic: 'a', clientId: 'c' }])
  })
})
