import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import type { Message } from '../../../src/message.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'
import {
  atTheEnd,
  connectPacket,
  connectRaw,
  createManualIngest,
  encode,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from '../helpers.ts'

/** An ingress whose time is the clock's. */
const startManual = (clock: ManualClock, ingest?: (message: Message) => Promise<void>) =>
  startIngress(ingest, {}, undefined, clock)

const publishes = (count: number, payload: Buffer | string = 'x') =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      encode(publishPacket({ topic: `t/${index}`, messageId: index + 1, payload })),
    ),
  )

describe('a client whose messages wait', () => {
  test('64 of 200 are dispatched; the others follow as answers go out', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    client.send(publishes(200))
    await until(() => messages.length === 64)
    await settle()
    expect(messages.length).toBe(64)

    for (let index = 0; index < 10; index++) manual.resolve(index)
    await until(() => messages.length === 74)
    await settle()
    expect(messages.length).toBe(74)

    for (let index = 10; index < 200; index++) {
      await until(() => messages.length > index)
      manual.resolve(index)
    }
    for (let id = 1; id <= 200; id++) {
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: id })
    }
    expect(messages.map(({ topic }) => topic)).toEqual(
      Array.from({ length: 200 }, (_, index) => `t/${index}`),
    )
  })

  test.each([0, 2] as const)('QoS %i counts too', async (qos) => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    for (let id = 1; id <= 100; id++) client.send(publishPacket({ qos, messageId: id }))
    await until(() => messages.length === 64)
    await settle()
    expect(messages.length).toBe(64)
    manual.resolveAll()
    await until(() => messages.length === 100)
  })

  test('other clients continue meanwhile', async () => {
    const manual = createManualIngest()
    const { port } = await startIngress((message) =>
      message.clientId === 'held' ? manual.ingest() : Promise.resolve(),
    )
    const held = await connectRaw(port, { clientId: 'held' })
    held.send(publishes(200))
    const other = await connectRaw(port, { clientId: 'other' })
    other.send(publishPacket({ messageId: 3 }))
    expect(await other.next()).toMatchObject({ cmd: 'puback', messageId: 3 })
  })

  const kinds = [
    { name: 'PINGREQ behind messages that were read', count: 200, payload: 'x', asks: true },
    // They stay in TCP, and so would a PINGREQ behind them.
    { name: 'PINGREQ stuck in TCP', count: 400, payload: Buffer.alloc(100_000), asks: false },
  ]
  test.each(kinds)('outlives its keepalive: $name', async ({ count, payload, asks }) => {
    const manual = createManualIngest()
    const clock = createManualClock()
    const { port, messages, metric } = await startManual(clock, manual.ingest)
    const client = await connectRaw(port, { keepalive: 10 })
    client.send(publishes(count, payload))
    await until(() => messages.length === 64)
    await settle()
    for (let halves = 0; halves < 10; halves++) {
      if (asks) client.send({ cmd: 'pingreq' })
      else clock.advance(5_000)
      expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
      if (asks) clock.advance(5_000)
    }
    expect(messages.length).toBe(64)
    expect(client.isClosed).toBe(false)

    for (let index = 0; index < count; index++) {
      await until(() => messages.length > index)
      manual.resolve(index)
    }
    await until(async () => (await metric('messagesAcknowledged')) === count)
  })
})

describe('keepalive', () => {
  test('a client that falls silent is disconnected and its will published', async () => {
    const clock = createManualClock()
    const { port, messages, metric } = await startManual(clock)
    const will = { topic: 'gone', payload: Buffer.from('x'), qos: 1, retain: false } as const
    const client = await connectRaw(port, { keepalive: 10, will })
    // The client may have its CONNACK before the broker has noted that it was sent.
    await settle()
    clock.advance(14_999)
    await settle()
    expect(client.isClosed).toBe(false)
    clock.advance(1)
    await client.closed
    expect(await metric('mqttConnectionsRefused', { reason: 'keepalive_timeout' })).toBe(1)
    await until(() => messages.length === 1)
  })

  test('PINGREQs keep an idle client connected', async () => {
    const clock = createManualClock()
    const { port } = await startManual(clock)
    const client = await connectRaw(port, { keepalive: 10 })
    await settle()
    for (let round = 0; round < 3; round++) {
      clock.advance(14_000)
      client.send({ cmd: 'pingreq' }, { cmd: 'pingreq' })
      expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
      expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
    }
    expect(client.isClosed).toBe(false)
  })

  test('keepalive 0 means no keepalive', async () => {
    const clock = createManualClock()
    const { port } = await startManual(clock)
    const client = await connectRaw(port, { keepalive: 0 })
    await settle()
    clock.advance(86_400_000)
    await settle()
    expect(client.isClosed).toBe(false)
  })
})

describe('bytes', () => {
  test('everything at once, before CONNACK: taken in order', async () => {
    const { port, messages } = await startIngress()
    const client = await openRaw(port)
    client.send(connectPacket(), publishes(100), { cmd: 'pingreq' })
    expect(await client.next()).toMatchObject({ cmd: 'connack' })
    const answers = await Promise.all(Array.from({ length: 101 }, () => client.next()))
    expect(answers.filter(({ cmd }) => cmd === 'puback').map(({ messageId }) => messageId)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    )
    expect(messages.length).toBe(100)
  })

  test('byte by byte: taken', async () => {
    const { port, messages } = await startIngress()
    const client = await openRaw(port)
    const bytes = Buffer.concat([encode(connectPacket()), publishes(3, 'payload')])
    for (const byte of bytes) {
      client.send(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => messages.length === 3)
    expect(messages.map(({ payload }) => String(payload))).toEqual(Array(3).fill('payload'))
  })

  test('payloads are copies, not views of what was read', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port)
    client.send(publishes(2, Buffer.alloc(10_000, 'y')))
    await until(() => messages.length === 2)
    for (const { payload } of messages) expect(payload.buffer.byteLength).toBe(10_000)
  })

  test('a subscriber that does not drain is disconnected, and its publisher goes on', async () => {
    const clock = createManualClock()
    const { port, messages, metric } = await startManual(clock)
    const stuck = await mqtt.connectAsync({
      port,
      clientId: 'stuck',
      keepalive: 0,
      reconnectPeriod: 0,
    })
    await stuck.subscribeAsync('t/#')
    stuck.stream.pause()
    atTheEnd(() => void stuck.end(true))
    const client = await connectRaw(port, { keepalive: 0 })
    client.send(publishes(200, Buffer.alloc(100_000)))
    const cut = () => metric('mqttConnectionsRefused', { reason: 'not_draining' })
    while ((await cut()) === 0) {
      await settle()
      expect(messages.length).toBeLessThan(200)
      clock.advance(1_000)
    }
    await until(() => messages.length === 200)
    expect(await cut()).toBe(1)
  })
})
