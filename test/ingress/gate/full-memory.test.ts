import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { messageOverheadBytes } from '../../../src/ingress/gate/held-bytes.ts'
import {
  connectRaw,
  createManualIngest,
  encode,
  openRaw,
  connectPacket,
  publishPacket,
  settle,
  startIngress,
  until,
} from '../helpers.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const publishes = (count: number, bytes: number) =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      encode(publishPacket({ messageId: index + 1, payload: Buffer.alloc(bytes) })),
    ),
  )

const kiB = 1024
const bytesMax = 1024 * kiB

describe('clients that publish more than there is memory for', () => {
  test('are held within the bound, then served in full; a subscriber continues', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest, { heldBytesMax: bytesMax })
    const subscriber = await connectRaw(port, { clientId: 'subscriber' })
    const clients = await Promise.all(
      Array.from({ length: 10 }, (_, index) => connectRaw(port, { clientId: `c${index}` })),
    )
    for (const client of clients) client.send(publishes(10, 100_000))
    await until(async () => (await metric('mqttHeldBytes')) >= bytesMax)
    await settle()
    // A chunk for each connection is what Node may have read before it heard of the bound.
    expect(await metric('mqttHeldBytes')).toBeLessThan(bytesMax + 10 * 64 * kiB)
    expect(messages.length).toBe(6)
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'x', qos: 0 }] })
    expect(await subscriber.next()).toMatchObject({ cmd: 'suback' })

    for (let index = 0; index < 100; index++) {
      await until(() => messages.length > index)
      manual.resolve(index)
    }
    for (const client of clients) {
      for (let id = 1; id <= 10; id++) {
        expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: id })
      }
    }
    await until(async () => (await metric('mqttHeldBytes')) === 0)
  })

  test('messages of a closed connection are dropped, unless the engine has them', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest)
    const client = await connectRaw(port, { clientId: 'gone' })
    client.send(publishes(80, 1_000))
    await until(() => messages.length === 64)
    await settle()
    const heldBytes = await metric('mqttHeldBytes')
    client.destroy()
    await until(async () => (await metric('mqttHeldBytes')) < heldBytes)
    expect(await metric('mqttHeldBytes')).toBe(
      64 * (messageOverheadBytes + encode(publishPacket({ payload: Buffer.alloc(1_000) })).length),
    )
    manual.resolveAll()
    await until(async () => (await metric('mqttHeldBytes')) === 0)
    expect(messages.length).toBe(64)
  })

  test('are counted by the memory of each message, even if two have one packet id', async () => {
    const { port, metric } = await startIngress()
    const client = await connectRaw(port)
    const [long, short] = [Buffer.alloc(10_000), Buffer.alloc(100)]
    client.send(publishPacket({ qos: 2, payload: long }), publishPacket({ qos: 2, payload: short }))
    client.send({ cmd: 'disconnect' })
    await client.closed
    expect(client.waiting).toMatchObject([{ cmd: 'pubrec' }, { cmd: 'pubrec' }])
    await settle()
    expect(await metric('mqttHeldBytes')).toBe(0)
  })

  test('are counted alike in and out, however they encode the length of a packet', async () => {
    const { port, metric } = await startIngress()
    const client = await connectRaw(port)
    for (let messageId = 1; messageId <= 3; messageId++) {
      const [type = 0, length = 0, ...body] = encode(publishPacket({ messageId }))
      client.send(Buffer.from([type, length | 0x80, 0x80, 0x80, 0x00, ...body]))
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId })
    }
    await settle()
    expect(await metric('mqttHeldBytes')).toBe(0)
  })
})

describe('clients that send a part of a packet and then nothing', () => {
  const halfSent = encode(publishPacket({ payload: Buffer.alloc(100 * kiB) })).subarray(0, 80 * kiB)

  test('do not stop the others: those whose packets began first are disconnected', async () => {
    const { port, metric } = await startIngress(undefined, { heldBytesMax: bytesMax })
    const publisher = await connectRaw(port, { clientId: 'publisher' })
    const halves = await Promise.all(
      Array.from({ length: 20 }, (_, index) => connectRaw(port, { clientId: `half ${index}` })),
    )
    for (const [index, half] of halves.entries()) {
      half.send(halfSent)
      publisher.send(publishPacket({ messageId: index + 1 }))
      expect(await publisher.next()).toMatchObject({ cmd: 'puback', messageId: index + 1 })
    }
    const ended = await metric('mqttConnectionsRefused', { reason: 'held_bytes' })
    expect(ended).toBeGreaterThan(0)
    await until(() => halves.filter(({ isClosed }) => isClosed).length === ended)
    expect(await metric('mqttStalls')).toBe(0)
  })

  test('are disconnected after the time of a packet, and others are not', async () => {
    const clock = createManualClock()
    const ingress = await startIngress(undefined, { packetTimeoutMs: 5_000 }, undefined, clock)
    const { port, metric, warnings } = ingress
    const whole = await connectRaw(port, { clientId: 'whole', keepalive: 0 })
    const half = await connectRaw(port, { clientId: 'half', keepalive: 0 })
    whole.send(publishPacket())
    expect(await whole.next()).toMatchObject({ cmd: 'puback' })
    half.send(encode(publishPacket()).subarray(0, 5))
    await until(async () => (await metric('mqttHeldBytes')) === 5)
    clock.advance(7_000)
    await half.closed
    expect(warnings()).toMatchObject([{ reason: 'packet_timeout', clientId: 'half' }])
    expect(whole.isClosed).toBe(false)
    expect(await metric('mqttHeldBytes')).toBe(0)
  })

  test('have no less time because the broker itself does not read from them', async () => {
    const clock = createManualClock()
    const manual = createManualIngest()
    const options = { packetTimeoutMs: 5_000, readAheadBytesMax: 0, unfinishedMax: 1 }
    const { port, messages } = await startIngress(manual.ingest, options, undefined, clock)
    const client = await openRaw(port)
    client.send(connectPacket({ keepalive: 0 }))
    expect(await client.next()).toMatchObject({ cmd: 'connack' })
    const whole = publishes(3, 10)
    client.send(whole.subarray(0, -5))
    await until(() => messages.length === 1)
    await settle()
    for (let second = 0; second < 20; second++) {
      clock.advance(1_000)
      await turn()
    }
    manual.resolve(0)
    client.send(whole.subarray(-5))
    await until(() => messages.length === 2)
    manual.resolve(1)
    await until(() => messages.length === 3)
    manual.resolve(2)
    for (let messageId = 1; messageId <= 3; messageId++) {
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId })
    }
  })

  test('make no difference to health while the engine takes messages; an engine that does not is seen', async () => {
    const clock = createManualClock()
    const manual = createManualIngest()
    const stage = await startIngress(manual.ingest, { heldBytesMax: bytesMax }, undefined, clock)
    const { port, ingress, metric, lines } = stage
    const client = await connectRaw(port, { keepalive: 0 })
    client.send(publishes(10, 100_000))
    await until(async () => (await metric('mqttHeldBytes')) >= bytesMax / 2)
    await settle()
    expect(ingress.isStalled).toBe(false)
    clock.advance(8_000)
    expect(ingress.isStalled).toBe(true)
    expect(await metric('mqttStalls')).toBe(1)
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    for (let index = 0; index < 10; index++) {
      await until(() => manual.outcomes.length > index)
      manual.resolve(index)
    }
    for (let messageId = 1; messageId <= 10; messageId++) {
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId })
    }
    clock.advance(2_000)
    expect(ingress.isStalled).toBe(false)
  })
})
