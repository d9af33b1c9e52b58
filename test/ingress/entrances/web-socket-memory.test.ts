import { connect as connectTcp } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { connectMqtt, ended, makeCertificates, startEntrances } from './entrance-fixtures.ts'
import type { TestCertificates } from './entrance-fixtures.ts'
import {
  connectPacket,
  connectRaw,
  createManualIngest,
  encode,
  publishPacket,
  until,
} from '../helpers.ts'
import { connectWebSocket, frameOf, openBytes, wholeFrame } from './web-socket-fixtures.ts'

let certificates: TestCertificates
beforeAll(async () => {
  certificates = await makeCertificates()
})

describe('the memory of WebSockets', () => {
  test('counts frames that are not whole, and frees it', async () => {
    const entrances = await startEntrances({ certificates })
    const socket = await openBytes(entrances)
    socket.write(Buffer.concat([frameOf(200_000), Buffer.alloc(100_000)]))
    await until(async () => (await entrances.heldBytes()) >= 100_000)
    socket.destroy()
    await until(async () => (await entrances.heldBytes()) === 0)
    expect(await entrances.heldBytes()).toBe(0)
  })

  test('partial frames are bounded: the oldest one ends its connection', async () => {
    const heldBytesMax = 400_000
    const entrances = await startEntrances({ certificates, options: { heldBytesMax } })
    const sockets = await Promise.all(Array.from({ length: 10 }, () => openBytes(entrances)))
    const gone = Promise.race(sockets.map(ended))
    for (const socket of sockets) {
      socket.write(Buffer.concat([frameOf(200_000), Buffer.alloc(150_000)]))
    }
    await gone
    expect(await entrances.heldBytes()).toBeLessThan(heldBytesMax + 64 * 1024)
    expect(await entrances.refused('held_bytes')).toBeGreaterThan(0)
    for (const socket of sockets) socket.destroy()
    const client = await connectWebSocket(entrances, 'served again')
    client.socket.send(encode(publishPacket({ payload: 'x'.repeat(100_000) })))
    expect(await client.next()).toMatchObject({ cmd: 'puback' })
  })

  test('of a client that has to wait: it is not read from, and then served in full', async () => {
    const { ingest, outcomes, resolveAll } = createManualIngest()
    const entrances = await startEntrances({
      certificates,
      ingest,
      options: { unfinishedMax: 2, heldBytesMax: 64 * 1024 * 1024 },
    })
    const { socket, next } = await connectWebSocket(entrances, 'many')
    const count = 400
    for (let messageId = 1; messageId <= count; messageId++) {
      socket.send(encode(publishPacket({ messageId, payload: 'x'.repeat(50_000) })))
    }
    await until(() => outcomes.length === 2)
    // What the two sides keep in their sockets is the system's.
    await until(async () => (await entrances.heldBytes()) > 64 * 1024)
    expect(await entrances.heldBytes()).toBeLessThan(1024 * 1024)
    expect(socket.bufferedAmount).toBeGreaterThan(5_000_000)
    const serving = setInterval(resolveAll, 1)
    for (let messageId = 1; messageId <= count; messageId++) {
      expect(await next()).toMatchObject({ cmd: 'puback', messageId })
    }
    clearInterval(serving)
    expect(entrances.messages).toHaveLength(count)
    await until(async () => (await entrances.heldBytes()) === 0)
  })

  test('that is full does not cost a client its keepalive', async () => {
    const { ingest, outcomes, resolveAll } = createManualIngest()
    const clock = createManualClock()
    const entrances = await startEntrances({
      certificates,
      clock,
      ingest,
      options: { heldBytesMax: 350_000 },
    })
    const waiting = await openBytes(entrances)
    waiting.write(wholeFrame(encode(connectPacket({ clientId: 'waiting', keepalive: 10 }))))
    const packet = encode(publishPacket({ payload: 'x'.repeat(100_000) }))
    const frame = wholeFrame(packet)
    waiting.write(frame.subarray(0, 60_000))
    await until(async () => (await entrances.heldBytes()) >= 59_000)
    const publisher = await connectRaw(entrances.ports.mqtt)
    for (let messageId = 1; messageId <= 4; messageId++) {
      publisher.send(publishPacket({ messageId, payload: 'x'.repeat(100_000) }))
    }
    await until(async () => (await entrances.heldBytes()) >= 350_000)
    clock.advance(60_000)
    expect(waiting.destroyed).toBe(false)
    expect(await entrances.refused('keepalive_timeout')).toBe(0)

    waiting.write(frame.subarray(60_000))
    await until(() => {
      resolveAll()
      return outcomes.length === 5
    })
    expect(entrances.messages).toHaveLength(5)
  })

  test('of a frame that comes slowly: each part of it keeps the client alive', async () => {
    const clock = createManualClock()
    const entrances = await startEntrances({
      certificates,
      clock,
      options: { packetTimeoutMs: 0 },
    })
    const slow = await openBytes(entrances)
    slow.write(wholeFrame(encode(connectPacket({ clientId: 'slow', keepalive: 10 }))))
    slow.write(frameOf(1_000))
    await until(async () => (await entrances.heldBytes()) > 0)
    for (let count = 0; count < 5; count++) {
      const before = await entrances.heldBytes()
      slow.write(Buffer.alloc(100, 0x30))
      await until(async () => (await entrances.heldBytes()) > before)
      clock.advance(12_000)
    }
    expect(await entrances.refused('keepalive_timeout')).toBe(0)
    const gone = ended(slow)
    clock.advance(30_000)
    expect(await entrances.refused('keepalive_timeout')).toBe(1)
    await entrances.ingress.close({ drainMs: 0 })
    slow.destroy()
    await gone
  })

  test('of a frame that comes too slowly ends with its connection', async () => {
    const clock = createManualClock()
    const entrances = await startEntrances({ certificates, clock })
    const slow = await openBytes(entrances)
    slow.write(wholeFrame(encode(connectPacket({ clientId: 'slow', keepalive: 0 }))))
    slow.write(frameOf(1_000))
    await until(async () => (await entrances.heldBytes()) > 0)
    const gone = ended(slow)
    clock.advance(40_000)
    await gone
    expect(await entrances.refused('packet_timeout')).toBe(1)
    await until(async () => (await entrances.heldBytes()) === 0)
  })

  test('a subscriber that does not read is cut off', async () => {
    const entrances = await startEntrances({ certificates, options: { drainTimeoutMs: 100 } })
    const reader = await connectWebSocket(entrances, 'reader')
    reader.socket.send(
      encode({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [{ topic: 'a/b', qos: 0 }],
      }),
    )
    expect(await reader.next()).toMatchObject({ cmd: 'suback' })
    reader.socket.pause()
    const publisher = await connectMqtt(`ws://127.0.0.1:${entrances.ports.ws}/mqtt`)
    const payload = 'x'.repeat(100_000)
    await until(async () => {
      await publisher.publishAsync('a/b', payload, { qos: 1 })
      return (await entrances.refused('not_draining')) > 0
    })
    expect(publisher.connected).toBe(true)
  })
})

test('bytes that are no frames end their connection alone, whatever they are', async () => {
  const entrances = await startEntrances({ certificates })
  let seed = 20_261_120
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * below)
  }
  const good = Buffer.concat([
    Buffer.from('GET /mqtt HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n'),
    Buffer.from('host: 127.0.0.1\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\n'),
    Buffer.from(`sec-websocket-key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`),
    Buffer.from([0x82, 0x80 | 14, 0, 0, 0, 0]),
    encode(connectPacket({ clientId: 'me' })),
  ])
  const ends = Array.from({ length: 300 }, async (_, index) => {
    const bytes = Buffer.from(good)
    // The request is left alone in two of three, so that frames are reached.
    const from = index % 3 === 0 ? 0 : good.length - 20
    for (let count = 0; count <= random(4); count++) {
      bytes[from + random(bytes.length - from)] = random(256)
    }
    const socket = connectTcp(entrances.ports.ws, '127.0.0.1').on('error', () => {})
    socket.end(bytes)
    socket.resume()
    await ended(socket)
  })
  await Promise.all(ends)
  const client = await connectMqtt(`ws://127.0.0.1:${entrances.ports.ws}/mqtt`)
  await client.publishAsync('a/b', 'x', { qos: 1 })
  expect(client.connected).toBe(true)
})
