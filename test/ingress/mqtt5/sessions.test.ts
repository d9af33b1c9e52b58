import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { connectRaw, publishPacket, settle, startIngress, until } from '../helpers.ts'
import type { RawMqtt5 } from './raw-mqtt5.ts'
import {
  block,
  bytes,
  codeOf,
  connect5,
  connectMqtt5,
  disconnect5,
  four,
  hex,
  openMqtt5,
  property,
  puback,
  publish5,
  subscribe5,
  text,
  two,
} from './raw-mqtt5.ts'

const expiry = (seconds: number) => property(17, four(seconds))
const normal = disconnect5(0)

async function start() {
  const clock = createManualClock()
  const started = await startIngress(undefined, {}, undefined, clock)
  return { ...started, clock }
}

/** Connects and gives whether CONNACK says that there is a session. */
async function connectSession(
  port: number,
  options: { clean: boolean; expirySeconds?: number | undefined; clientId?: string },
): Promise<{ client: RawMqtt5; isPresent: boolean; inForce: number }> {
  const { clean, expirySeconds, clientId = 'session' } = options
  const client = await openMqtt5(port)
  const properties = expirySeconds === undefined ? [] : [expiry(expirySeconds)]
  client.send(connect5({ clientId, flags: clean ? 2 : 0, properties }))
  const connack = await client.next()
  expect(connack[3]).toBe(0)
  return { client, isPresent: connack[2] === 1, inForce: connack.readUInt32BE(6) }
}

/** Leaves, and comes back when the broker knows that the connection is gone. */
async function leave(client: RawMqtt5, last: Buffer = normal): Promise<void> {
  client.send(last)
  await client.rest()
}

describe('a session', () => {
  const rows: readonly [clean: boolean, expirySeconds: number | undefined, isKept: boolean][] = [
    [true, undefined, false],
    [true, 0, false],
    [true, 60, true],
    [false, undefined, false],
    [false, 60, true],
  ]
  test.each(rows)('clean start %s, expiry %s: kept %s', async (clean, expirySeconds, isKept) => {
    const { port } = await start()
    const first = await connectSession(port, { clean, expirySeconds })
    expect(first.isPresent).toBe(false)
    expect(first.inForce).toBe(expirySeconds ?? 0)
    first.client.send(subscribe5({ 'a/b': 1 }))
    await first.client.next()
    await leave(first.client)
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b', { payload: 'queued' }))
    await publisher.next()
    const second = await connectSession(port, { clean: false })
    expect(second.isPresent).toBe(isKept)
    second.client.send(bytes('c0 00'))
    const [first2] = [await second.client.next()]
    expect(first2.includes('queued')).toBe(isKept)
  })

  test('clean start ends the session that is there', async () => {
    const { port } = await start()
    const first = await connectSession(port, { clean: true, expirySeconds: 60 })
    first.client.send(subscribe5({ 'a/b': 1 }))
    await first.client.next()
    await leave(first.client)
    const second = await connectSession(port, { clean: true, expirySeconds: 60 })
    expect(second.isPresent).toBe(false)
    second.client.send(publish5('a/b'), bytes('c0 00'))
    expect([await second.client.next(), await second.client.next()].map(hex).toSorted()).toEqual([
      '40 02 00 01',
      'd0 00',
    ])
  })

  test('a resumed session without an expiry ends at its close, after its queue was sent', async () => {
    const { port } = await start()
    const first = await connectSession(port, { clean: true, expirySeconds: 60 })
    first.client.send(subscribe5({ 'a/b': 1 }))
    await first.client.next()
    await leave(first.client)
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    publisher.send(publish5('a/b', { payload: 'queued' }))
    await publisher.next()
    const second = await connectSession(port, { clean: false })
    expect(second.isPresent).toBe(true)
    expect((await second.client.next()).toString()).toContain('queued')
    await leave(second.client)
    expect((await connectSession(port, { clean: false })).isPresent).toBe(false)
  })

  test('ends when its expiry is over, and not before', async () => {
    const { port, clock } = await start()
    for (const [seconds, isKept] of [
      [59, true],
      [61, false],
    ] as const) {
      const clientId = `for ${seconds}`
      const { client } = await connectSession(port, { clean: true, expirySeconds: 60, clientId })
      await leave(client)
      clock.advance(seconds * 1_000)
      const again = await connectSession(port, { clean: false, clientId })
      expect(again.isPresent).toBe(isKept)
    }
  })

  test('has at most the expiry of the broker, and CONNACK tells it', async () => {
    const { port, clock } = await start()
    const first = await connectSession(port, { clean: true, expirySeconds: 0xffff_ffff })
    expect(first.inForce).toBe(3_600)
    await leave(first.client)
    clock.advance(3_599_000)
    const second = await connectSession(port, { clean: false, expirySeconds: 0xffff_ffff })
    expect(second.isPresent).toBe(true)
    await leave(second.client)
    clock.advance(3_601_000)
    expect((await connectSession(port, { clean: false })).isPresent).toBe(false)
  })

  const changes: readonly [change: number, afterSeconds: number, isKept: boolean][] = [
    [0, 0, false],
    [5, 4, true],
    [5, 6, false],
    [600, 500, true],
  ]
  test.each(changes)('DISCONNECT sets %s s; after %s s kept: %s', async (change, after, isKept) => {
    const { port, clock } = await start()
    const { client } = await connectSession(port, { clean: true, expirySeconds: 60 })
    await leave(client, disconnect5(0, expiry(change)))
    clock.advance(after * 1_000)
    expect((await connectSession(port, { clean: false })).isPresent).toBe(isKept)
  })

  test('the other connection gets DISCONNECT 8e, and the new one the session', async () => {
    const { port } = await start()
    const first = await connectSession(port, { clean: true, expirySeconds: 60 })
    first.client.send(subscribe5({ 'a/b': 1 }))
    await first.client.next()
    const second = await connectSession(port, { clean: false, expirySeconds: 60 })
    expect((await first.client.rest()).map(codeOf)).toEqual(['DISCONNECT 8e'])
    expect(second.isPresent).toBe(true)
    second.client.send(publish5('a/b', { payload: 'mine' }))
    await until(() => second.client.waiting.length === 2)
    expect(second.client.waiting.some((frame) => frame.includes('mine'))).toBe(true)
  })

  test('of MQTT 3.1.1 is resumed by MQTT 5, and the other way round', async () => {
    const { port } = await start()
    const old = await connectRaw(port, { clientId: 'both', clean: false })
    old.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 1 }] })
    await old.next()
    old.send({ cmd: 'disconnect' })
    await old.closed
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    const queue = async (payload: string) => {
      publisher.send(publish5('a/b', { payload }))
      await publisher.next()
    }
    await queue('first')
    const five = await connectSession(port, { clean: false, expirySeconds: 60, clientId: 'both' })
    expect(five.isPresent).toBe(true)
    const got = await five.client.next()
    expect(got.toString()).toContain('first')
    five.client.send(puback(got.readUInt16BE(7)))
    await leave(five.client)
    await queue('second')
    const four4 = await connectRaw(port, { clientId: 'both', clean: false })
    expect(await four4.next()).toMatchObject({ cmd: 'publish', payload: Buffer.from('second') })
  })

  test('sends what is not acknowledged again, with DUP and the same id, then the queue', async () => {
    const { port } = await start()
    const receiveMaximum = property(33, two(2))
    const open = (clean: boolean) =>
      connectMqtt5(port, {
        clientId: 'again',
        flags: clean ? 2 : 0,
        properties: [expiry(60), receiveMaximum],
      })
    const first = await open(true)
    first.send(subscribe5({ 'a/b': 1 }))
    await first.next()
    const publisher = await connectMqtt5(port, { clientId: 'publisher' })
    for (let index = 1; index <= 4; index++) {
      publisher.send(publish5('a/b', { packetId: index, payload: `m${index}` }))
      await publisher.next()
    }
    const sent = [await first.next(), await first.next()]
    await settle()
    expect(first.waiting).toEqual([])
    first.destroy()
    await settle()
    const second = await open(false)
    const again = [await second.next(), await second.next()]
    expect(again.map((frame) => hex(frame))).toEqual(
      sent.map((frame) => hex(Buffer.concat([Buffer.from([0x3a]), frame.subarray(1)]))),
    )
    await settle()
    expect(second.waiting).toEqual([])
    for (const frame of again) second.send(puback(frame.readUInt16BE(7)))
    const rest = [await second.next(), await second.next()]
    expect(rest.map((frame) => frame.subarray(-2).toString())).toEqual(['m3', 'm4'])
    expect(rest.every((frame) => frame[0] === 0x32)).toBe(true)
  })
})

const withWill = (
  options: { delay?: number; expirySeconds?: number; flags?: number; clean?: boolean } = {},
) => {
  const { delay = 0, expirySeconds = 0, flags = 0x0e, clean = true } = options
  return {
    clientId: 'dying',
    flags: clean ? flags : flags & ~2,
    properties: [expiry(expirySeconds)],
    rest: Buffer.concat([
      block(
        property(24, four(delay)),
        property(3, text('text/plain')),
        property(38, Buffer.concat([text('b'), text('1')])),
        property(38, Buffer.concat([text('a'), text('2')])),
      ),
      text('will/topic'),
      text('gone'),
    ]),
  }
}

async function watch() {
  const started = await start()
  const watcher = await connectMqtt5(started.port, { clientId: 'watcher' })
  watcher.send(subscribe5({ 'will/#': 0 }))
  await watcher.next()
  return { ...started, watcher }
}

describe('a will', () => {
  test('comes with its properties in their order, and without its delay', async () => {
    const { port, watcher, messages } = await watch()
    const client = await connectMqtt5(port, withWill())
    client.destroy()
    expect(hex(await watcher.next())).toBe(
      hex(
        publish5('will/topic', {
          qos: 0,
          properties: [
            property(3, text('text/plain')),
            property(38, Buffer.concat([text('b'), text('1')])),
            property(38, Buffer.concat([text('a'), text('2')])),
          ],
          payload: 'gone',
        }),
      ),
    )
    expect(messages).toMatchObject([
      {
        topic: 'will/topic',
        clientId: 'dying',
        qos: 1,
        mqtt5: {
          contentType: 'text/plain',
          userProperties: [
            ['b', '1'],
            ['a', '2'],
          ],
        },
      },
    ])
  })

  const endings: readonly [name: string, last: Buffer, isPublished: boolean][] = [
    ['DISCONNECT 0x00', disconnect5(0), false],
    ['a DISCONNECT without a code', bytes('e0 00'), false],
    ['DISCONNECT 0x04', disconnect5(4), true],
    ['DISCONNECT 0x80', disconnect5(0x80), true],
    ['a malformed packet', bytes('c1 00'), true],
  ]
  test.each(endings)('after %s', async (_name, last, isPublished) => {
    const { port, messages } = await watch()
    const client = await connectMqtt5(port, withWill())
    client.send(last)
    await client.rest()
    await settle()
    expect(messages).toHaveLength(isPublished ? 1 : 0)
  })

  test('waits for its delay', async () => {
    const { port, messages, clock } = await watch()
    const client = await connectMqtt5(port, withWill({ delay: 10, expirySeconds: 60 }))
    client.destroy()
    await settle()
    clock.advance(9_000)
    await settle()
    expect(messages).toEqual([])
    clock.advance(2_000)
    await until(() => messages.length === 1)
  })

  test('comes when its session ends before its delay is over', async () => {
    const { port, messages, clock } = await watch()
    const client = await connectMqtt5(port, withWill({ delay: 100, expirySeconds: 5 }))
    client.destroy()
    await settle()
    expect(messages).toEqual([])
    clock.advance(5_001)
    await until(() => messages.length === 1)
  })

  test('does not come when the client resumes its session in time', async () => {
    const { port, messages, clock } = await watch()
    const options = withWill({ delay: 10, expirySeconds: 60 })
    const client = await connectMqtt5(port, options)
    client.destroy()
    await settle()
    const again = await connectMqtt5(port, {
      clientId: 'dying',
      flags: 0,
      properties: [expiry(60)],
    })
    clock.advance(60_000)
    await settle()
    expect(messages).toEqual([])
    again.destroy()
  })

  test('comes at once when the client starts clean', async () => {
    const { port, messages } = await watch()
    const client = await connectMqtt5(port, withWill({ delay: 10, expirySeconds: 60 }))
    client.destroy()
    await settle()
    await connectMqtt5(port, { clientId: 'dying' })
    await until(() => messages.length === 1)
    expect(messages).toMatchObject([{ topic: 'will/topic' }])
  })

  test('comes when the broker stops', async () => {
    const { port, messages, ingress } = await watch()
    const client = await connectMqtt5(port, withWill({ delay: 1_000, expirySeconds: 3_600 }))
    client.destroy()
    await settle()
    await ingress.close()
    expect(messages).toHaveLength(1)
  })

  test('does not come when DeleteConnection prevents it, and DISCONNECT says 98', async () => {
    const { port, messages, ingress } = await watch()
    const client = await connectMqtt5(port, withWill())
    await ingress.disconnect('dying', { preventWillMessage: true })
    expect((await client.rest()).map(codeOf)).toEqual(['DISCONNECT 98'])
    await settle()
    expect(messages).toEqual([])
  })
})

test('keep alive: DISCONNECT 8d', async () => {
  const { port, clock } = await start()
  const client = await connectMqtt5(port, { keepAlive: 10 })
  // The keep alive begins when CONNACK is sent.
  client.send(bytes('c0 00'))
  await client.next()
  clock.advance(15_001)
  expect((await client.rest()).map(codeOf)).toEqual(['DISCONNECT 8d'])
})

test('a stop of the broker: DISCONNECT 8b to MQTT 5, and nothing to MQTT 3.1.1', async () => {
  const { port, ingress } = await startIngress()
  const five = await connectMqtt5(port)
  const old = await connectRaw(port)
  old.send(publishPacket())
  await old.next()
  await ingress.close()
  expect((await five.rest()).map(codeOf)).toEqual(['DISCONNECT 8b'])
  await old.closed
  expect(old.waiting).toEqual([])
})
