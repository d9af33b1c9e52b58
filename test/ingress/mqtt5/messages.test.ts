import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../../src/base/errors.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { connectRaw, settle, startIngress, until } from '../helpers.ts'
import type { RawMqtt5 } from './raw-mqtt5.ts'
import {
  bytes,
  codeOf,
  connectMqtt5,
  disconnect5,
  four,
  hex,
  packet,
  property,
  puback,
  publish5,
  subscribe5,
  text,
  two,
  userProperty,
} from './raw-mqtt5.ts'

async function start() {
  const clock = createManualClock()
  const started = await startIngress(undefined, {}, undefined, clock)
  return { ...started, clock }
}

async function subscriber(
  port: number,
  filters: Readonly<Record<string, number>>,
  options: Parameters<typeof connectMqtt5>[1] = {},
): Promise<RawMqtt5> {
  const client = await connectMqtt5(port, { clientId: 'subscriber', ...options })
  client.send(subscribe5(filters))
  expect((await client.next())[0]).toBe(0x90)
  return client
}

const properties = [
  bytes('01 01'),
  property(3, text('application/json')),
  property(8, text('answers')),
  property(9, text('\u0001\u0002')),
  userProperty('b', '1'),
  userProperty('a', ''),
  userProperty('10', 'x'),
  userProperty('b', '3'),
]

describe('properties', () => {
  test.each([0, 1, 2] as const)('pass a broker unchanged at QoS %s', async (qos) => {
    const { port } = await start()
    const client = await subscriber(port, { '#': qos })
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    const sent = publish5('a/b', { qos, packetId: 1, properties, payload: 'x' })
    publisher.send(sent)
    expect(hex(await client.next())).toBe(hex(sent))
  })

  test('reach rules', async () => {
    const { port, messages } = await start()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b', { properties: [...properties, property(2, four(9))] }))
    await publisher.next()
    expect(messages[0]?.payload.toString()).toBe('x')
    expect(messages[0]?.mqtt5).toEqual({
      payloadFormatIndicator: 1,
      messageExpirySeconds: 9,
      contentType: 'application/json',
      responseTopic: 'answers',
      correlationData: Buffer.from([1, 2]),
      userProperties: [
        ['b', '1'],
        ['a', ''],
        ['10', 'x'],
        ['b', '3'],
      ],
    })
  })

  test('do not reach clients of MQTT 3.1.1', async () => {
    const { port } = await start()
    const old = await connectRaw(port)
    old.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
    await old.next()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b', { properties, payload: 'hello' }))
    expect(await old.next()).toMatchObject({ topic: 'a/b', payload: Buffer.from('hello') })
  })

  test('are kept with a retained message and in the queue of a session', async () => {
    const { port } = await start()
    const absent = await subscriber(port, { 'a/b': 1 }, { properties: [property(17, four(60))] })
    absent.send(disconnect5(0))
    await absent.rest()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b', { properties, retain: true, payload: 'kept' }))
    await publisher.next()
    const back = await connectMqtt5(port, {
      clientId: 'subscriber',
      flags: 0,
      properties: [property(17, four(60))],
    })
    expect(hex(await back.next())).toBe(hex(publish5('a/b', { properties, payload: 'kept' })))
    const late = await connectMqtt5(port, { clientId: 'late' })
    late.send(subscribe5({ 'a/+': 0 }))
    await late.next()
    const retained = publish5('a/b', { qos: 0, retain: true, properties, payload: 'kept' })
    expect(hex(await late.next())).toBe(hex(retained))
  })

  test('of a message over HTTP or from a rule reach subscribers', async () => {
    const { port, ingress } = await start()
    const client = await subscriber(port, { '#': 0 })
    const message = {
      topic: 'a/b',
      payload: Buffer.from('x'),
      qos: 0,
      retain: false,
      transport: 'http',
      timestampMs: 0,
      mqtt5: { contentType: 'text/plain', userProperties: [['k', 'v']] },
    } as const
    const wanted = publish5('a/b', {
      qos: 0,
      properties: [property(3, text('text/plain')), userProperty('k', 'v')],
    })
    await ingress.publish(message)
    expect(hex(await client.next())).toBe(hex(wanted))
    await ingress.distribute(message)
    expect(hex(await client.next())).toBe(hex(wanted))
  })
})

const expires = (seconds: number) => [property(2, four(seconds))]

describe('message expiry', () => {
  test('is counted down in the queue of a session, and over for the version that subscribes', async () => {
    const { port, clock } = await start()
    const session = { properties: [property(17, four(600))] }
    const absent = await subscriber(port, { '#': 1 }, session)
    absent.send(disconnect5(0))
    await absent.rest()
    const old = await connectRaw(port, { clientId: 'old', clean: false })
    old.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
    await old.next()
    old.destroy()
    await settle()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(
      publish5('short', { packetId: 1, properties: expires(5) }),
      publish5('long', { packetId: 2, properties: expires(60) }),
      publish5('never', { packetId: 3 }),
    )
    for (let count = 0; count < 3; count++) await publisher.next()
    clock.advance(10_500)
    const back = await connectMqtt5(port, { clientId: 'subscriber', flags: 0, ...session })
    expect([await back.next(), await back.next()].map(hex)).toEqual([
      hex(publish5('long', { packetId: 2, properties: expires(49) })),
      hex(publish5('never', { packetId: 3 })),
    ])
    const oldBack = await connectRaw(port, { clientId: 'old', clean: false })
    expect(await oldBack.next()).toMatchObject({ topic: 'long' })
    expect(await oldBack.next()).toMatchObject({ topic: 'never' })
  })

  test('makes room in the full queue of a session', async () => {
    const clock = createManualClock()
    const { port } = await startIngress(undefined, { queuedMax: 2 }, undefined, clock)
    const session = { properties: [property(17, four(600))] }
    const absent = await subscriber(port, { '#': 1 }, session)
    absent.send(disconnect5(0))
    await absent.rest()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    const publish = async (topic: string, ...given: readonly Buffer[]) => {
      publisher.send(publish5(topic, { properties: given }))
      await publisher.next()
    }
    await publish('short', ...expires(5))
    await publish('long', ...expires(60))
    await publish('dropped')
    clock.advance(6_000)
    await publish('last')
    const back = await connectMqtt5(port, { clientId: 'subscriber', flags: 0, ...session })
    expect(hex(await back.next())).toContain(hex(text('long')))
    expect(hex(await back.next())).toContain(hex(text('last')))
  })

  test('ends a retained message, for clients and for the HTTP API', async () => {
    const { port, clock, ingress } = await start()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a', { retain: true, properties: expires(5) }))
    await publisher.next()
    expect(ingress.retained('a')).toBeDefined()
    clock.advance(2_500)
    const early = await subscriber(port, { a: 0 })
    const left = publish5('a', { qos: 0, retain: true, properties: expires(2) })
    expect(hex(await early.next())).toBe(hex(left))
    clock.advance(2_500)
    const late = await subscriber(port, { a: 0 }, { clientId: 'late' })
    const old = await connectRaw(port)
    old.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
    await old.next()
    await settle()
    expect(late.waiting).toEqual([])
    expect(old.waiting).toEqual([])
    expect(ingress.retained('a')).toBeUndefined()
    expect(ingress.listRetained({ max: 10 })).toEqual([])
  })
})

const flagsOf = async (client: RawMqtt5) => [(await client.next())[0], (await client.next())[0]]
const identifier = (value: number) => ({ properties: [bytes(`0b 0${value}`)] })

describe('subscription options', () => {
  test('No Local: a client does not get what it has published, at any QoS', async () => {
    const { port } = await start()
    const client = await subscriber(port, { 'a/+': 1 | 4, 'b/+': 1 })
    const other = await connectMqtt5(port, { clientId: 'other' })
    client.send(publish5('a/1'), publish5('a/1', { qos: 0 }), publish5('b/1', { packetId: 2 }))
    await until(() => client.waiting.length === 3)
    other.send(publish5('a/2'))
    await until(() => client.waiting.length === 4)
    const topics = client.waiting.filter((frame) => (frame[0] ?? 0) >> 4 === 3)
    expect(topics.map((frame) => frame.toString('latin1', 4, 7))).toEqual(['b/1', 'a/2'])
  })

  test('No Local holds for the queue, too', async () => {
    const { port } = await start()
    const session = { properties: [property(17, four(60))] }
    const client = await subscriber(port, { '#': 1 | 4 }, session)
    client.send(publish5('mine'))
    await client.next()
    client.send(disconnect5(0))
    await client.rest()
    const back = await connectMqtt5(port, { clientId: 'subscriber', flags: 0, ...session })
    back.send(bytes('c0 00'))
    expect(hex(await back.next())).toBe('d0 00')
  })

  test('Retain As Published', async () => {
    const { port } = await start()
    const plain = await subscriber(port, { a: 0 }, { clientId: 'plain' })
    const asPublished = await subscriber(port, { a: 8 }, { clientId: 'as published' })
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a', { retain: true }), publish5('a', { packetId: 2 }))
    await publisher.next()
    expect(await flagsOf(plain)).toEqual([0x30, 0x30])
    expect(await flagsOf(asPublished)).toEqual([0x31, 0x30])
  })

  test('Retain Handling 0, 1 and 2', async () => {
    const { port } = await start()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a', { retain: true }))
    await publisher.next()
    for (const [handling, first, again] of [
      [0, 1, 1],
      [1, 1, 0],
      [2, 0, 0],
    ] as const) {
      const client = await connectMqtt5(port, { clientId: `handling ${handling}` })
      for (const expected of [first, again]) {
        client.send(subscribe5({ a: handling << 4 }), bytes('c0 00'))
        await settle()
        const retained = client.waiting.filter((frame) => frame[0] === 0x31)
        expect(retained).toHaveLength(expected)
        while (client.waiting.length > 0) await client.next()
      }
    }
  })

  test('overlapping filters: one copy, with the highest QoS and all identifiers', async () => {
    const { port } = await start()
    const client = await connectMqtt5(port, { clientId: 'subscriber' })
    client.send(
      subscribe5({ '#': 0 }, identifier(1)),
      subscribe5({ 'a/+': 1 }, identifier(2)),
      subscribe5({ 'a/#': 0 }, identifier(3)),
    )
    for (let count = 0; count < 3; count++) await client.next()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b'), publish5('z', { qos: 0 }))
    expect(hex(await client.next())).toBe(
      hex(publish5('z', { qos: 0, properties: [bytes('0b 01')] })),
    )
    expect(hex(await client.next())).toBe(
      hex(publish5('a/b', { properties: [bytes('0b 01'), bytes('0b 02'), bytes('0b 03')] })),
    )
  })

  test('$ topics do not match wildcards', async () => {
    const { port, ingress } = await start()
    const client = await subscriber(port, { '#': 0, '+/x': 0, '$aws/x': 0 })
    const message = { payload: Buffer.from('x'), qos: 0, retain: false } as const
    const rest = { transport: 'mqtt', timestampMs: 0 } as const
    await ingress.distribute({ topic: '$aws/x', ...message, ...rest })
    await ingress.distribute({ topic: 'a/x', ...message, ...rest })
    expect(hex(await client.next())).toBe(hex(publish5('$aws/x', { qos: 0 })))
    expect(hex(await client.next())).toBe(hex(publish5('a/x', { qos: 0 })))
  })
})

describe('flow control to a client', () => {
  test('no more than its receive maximum are unanswered; QoS 0 is not held', async () => {
    const { port } = await start()
    const client = await subscriber(port, { '#': 2 }, { properties: [property(33, two(2))] })
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    for (let packetId = 1; packetId <= 4; packetId++) {
      publisher.send(publish5('a', { packetId, payload: `m${packetId}` }))
      await publisher.next()
    }
    publisher.send(publish5('a', { qos: 0, payload: 'm0' }))
    await until(() => client.waiting.length === 3)
    await settle()
    const payloads = () => client.waiting.map((frame) => frame.subarray(-2).toString())
    expect(payloads()).toEqual(['m1', 'm2', 'm0'])
    client.send(puback(1))
    await until(() => client.waiting.length === 4)
    // An acknowledgement that refuses ends the flight, too.
    client.send(packet(0x40, two(2), bytes('80')))
    await until(() => client.waiting.length === 5)
    expect(payloads()).toEqual(['m1', 'm2', 'm0', 'm3', 'm4'])
  })

  test('QoS 2 is free again after PUBCOMP, or a PUBREC that refuses', async () => {
    const { port } = await start()
    const client = await subscriber(port, { '#': 2 }, { properties: [property(33, two(1))] })
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    for (let packetId = 1; packetId <= 3; packetId++) {
      publisher.send(publish5('a', { qos: 2, packetId, payload: `m${packetId}` }))
      await publisher.next()
    }
    expect((await client.next()).subarray(-2).toString()).toBe('m1')
    client.send(packet(0x50, two(1)))
    expect(hex(await client.next())).toBe('62 02 00 01')
    await settle()
    expect(client.waiting).toEqual([])
    client.send(packet(0x70, two(1)))
    expect((await client.next()).subarray(-2).toString()).toBe('m2')
    client.send(packet(0x50, two(2), bytes('80')))
    expect((await client.next()).subarray(-2).toString()).toBe('m3')
  })

  test('a packet over its maximum size is not sent, and holds back nothing', async () => {
    const { port } = await start()
    const small = [property(39, four(40)), property(33, two(1))]
    const client = await subscriber(port, { '#': 1 }, { properties: small })
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(
      publish5('a', { packetId: 1, payload: 'x'.repeat(50) }),
      publish5('a', { packetId: 2, payload: 'fits' }),
      publish5('a', { packetId: 3, payload: 'x'.repeat(50) }),
      publish5('a', { packetId: 4, payload: 'fits' }),
    )
    for (const packetId of [2, 4]) {
      expect(hex(await client.next())).toBe(hex(publish5('a', { packetId, payload: 'fits' })))
      client.send(puback(packetId))
    }
  })

  test('retained messages wait for answers like others', async () => {
    const { port } = await start()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    for (let packetId = 1; packetId <= 3; packetId++) {
      publisher.send(publish5(`r/${packetId}`, { packetId, retain: true }))
      await publisher.next()
    }
    const client = await subscriber(port, { '#': 1 }, { properties: [property(33, two(1))] })
    for (let packetId = 1; packetId <= 3; packetId++) {
      const frame = await client.next()
      expect(hex(frame)).toBe(hex(publish5(`r/${packetId}`, { packetId, retain: true })))
      await settle()
      expect(client.waiting).toEqual([])
      client.send(puback(packetId))
    }
  })
})

describe('a message that is not durable', () => {
  test.each([
    ['0x83', new Error('disk'), 'DISCONNECT 83'],
    ['0x97', new SluiceError('OutboxFull', 'full'), 'DISCONNECT 97'],
  ])('ends the connection with %s, and has no PUBACK', async (_code, cause, expected) => {
    const { port } = await startIngress((message) =>
      message.topic === 'bad' ? Promise.reject(cause) : Promise.resolve(),
    )
    const client = await connectMqtt5(port)
    client.send(publish5('good', { packetId: 1 }), publish5('bad', { packetId: 2 }))
    const frames = await client.rest()
    expect(frames.map((frame) => (frame[0] === 0x40 ? hex(frame) : codeOf(frame)))).toEqual([
      '40 02 00 01',
      expected,
    ])
  })
})
