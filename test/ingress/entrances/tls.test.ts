import { once } from 'node:events'
import { connect as connectTcp, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import {
  connectMqtt,
  ended,
  makeCertificates,
  openTls,
  startEntrances,
} from './entrance-fixtures.ts'
import type { TestCertificates, TestEntrances } from './entrance-fixtures.ts'
import { atTheEnd, connectPacket, encode, publishPacket, until } from '../helpers.ts'

let certificates: TestCertificates
let others: TestCertificates
let shared: TestEntrances
beforeAll(async () => {
  certificates = await makeCertificates()
  others = await makeCertificates()
  shared = await startEntrances({ certificates })
})

const url = ({ ports }: TestEntrances) => `mqtts://localhost:${ports.mqtts}`
const trusting = ({ ca }: TestCertificates) => ({ ca })
const deviceOf = ({ ca, device }: TestCertificates) => ({ ca, ...device })

/** The first answer on a socket that speaks MQTT: the CONNACK's return code. */
async function connackOf(socket: TLSSocket, clientId: string): Promise<number | undefined> {
  socket.write(encode(connectPacket({ clientId })))
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk[3]
}

/** A session of TLS that can be resumed. */
async function sessionOf(port: number, options: ConnectionOptions): Promise<Buffer> {
  const socket = connectTls({ port, servername: 'localhost', ...options })
  const [session] = (await once(socket, 'session')) as [Buffer]
  socket.destroy()
  return session
}

describe('a client over TLS', () => {
  test('is identified by its certificate, and publishes', async () => {
    const client = await connectMqtt(url(shared), { ...deviceOf(certificates), clientId: 'known' })
    await client.publishAsync('a/b', 'x', { qos: 1 })
    expect(shared.peers.at(-1)).toEqual({
      transport: 'tls',
      sourceIp: '127.0.0.1',
      certificate: { principal: certificates.principal, commonName: 'd1' },
    })
    expect(shared.messages.at(-1)).toMatchObject({ topic: 'a/b', clientId: 'known' })
  })

  test('may connect without a certificate, and is anonymous then', async () => {
    await connectMqtt(url(shared), trusting(certificates))
    expect(shared.peers.at(-1)).toEqual({ transport: 'tls', sourceIp: '127.0.0.1' })
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that resumes a session of %s is known by the certificate of that session',
    async (version) => {
      const options = { ...deviceOf(certificates), minVersion: version, maxVersion: version }
      const session = await sessionOf(shared.ports.mqtts, options)
      const again = await openTls(shared.ports.mqtts, { ...options, session })
      await connackOf(again, 'again')
      expect(again.isSessionReused()).toBe(true)
      expect(shared.peers.at(-1)).toHaveProperty('certificate.commonName', 'd1')
    },
  )

  test.each([
    ['of another CA', () => others.device],
    ['that has expired', () => certificates.expiredDevice],
    ['that is for servers', () => certificates.nextServer],
  ])('is cut off with a certificate %s, before MQTT', async (_what, show) => {
    const known = shared.peers.length
    const refused = await shared.refused('client_certificate')
    const { cert, key } = show()
    const { ca } = certificates
    const socket = connectTls({ port: shared.ports.mqtts, servername: 'localhost', ca, cert, key })
    socket.on('error', () => {})
    socket.write(encode(connectPacket()))
    await ended(socket)
    expect(shared.peers).toHaveLength(known)
    expect(await shared.refused('client_certificate')).toBe(refused + 1)
    expect(shared.lines.at(-1)).toMatchObject({ level: 'warn', sourceIp: '127.0.0.1' })
  })

  test.each([
    [['x-amzn-mqtt-ca'], 'x-amzn-mqtt-ca'],
    [['mqtt'], 'mqtt'],
    [['h2', 'mqtt', 'x-amzn-mqtt-ca'], 'x-amzn-mqtt-ca'],
    [[], false],
  ])('that offers the protocols %j gets %s', async (ALPNProtocols, agreed) => {
    const options = {
      ...trusting(certificates),
      ...(ALPNProtocols.length > 0 && { ALPNProtocols }),
    }
    const socket = await openTls(shared.ports.mqtts, options)
    expect(socket.alpnProtocol).toBe(agreed)
    expect(await connackOf(socket, 'alpn')).toBe(0)
  })

  test.each([
    ['offers other protocols alone', { ALPNProtocols: ['http/1.1'] }],
    ['speaks TLS 1.1', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
  ] as const)('that %s ends in the handshake', async (_what, options) => {
    const refused = await shared.refused('tls_handshake')
    const opened = openTls(shared.ports.mqtts, {
      ...trusting(certificates),
      ...options,
      ALPNProtocols: [...('ALPNProtocols' in options ? options.ALPNProtocols : [])],
    })
    await expect(opened).rejects.toThrow(/alert (no application protocol|protocol version)/)
    await until(async () => (await shared.refused('tls_handshake')) > refused)
  })
})

describe('another certificate', () => {
  test('is shown to new clients; connected ones stay', async () => {
    const entrances = await startEntrances({ certificates })
    const client = await connectMqtt(url(entrances), { ...trusting(certificates), clientId: 'old' })
    const serialOf = async () => {
      const socket = await openTls(entrances.ports.mqtts, trusting(certificates))
      return socket.getPeerCertificate().serialNumber
    }
    const before = await serialOf()
    entrances.ingress.useTls(certificates.nextServer)
    expect(await serialOf()).not.toBe(before)
    await client.publishAsync('a/b', 'x', { qos: 1 })
    expect(client.connected).toBe(true)
  })

  test('of the CA applies to new clients, also with a TLS session of the former one', async () => {
    const entrances = await startEntrances({ certificates })
    const client = await connectMqtt(url(entrances), deviceOf(certificates))
    const session = await sessionOf(entrances.ports.mqtts, deviceOf(certificates))
    entrances.ingress.useTls({ ...certificates.server, ca: others.ca })
    const again = await openTls(entrances.ports.mqtts, {
      ...deviceOf(certificates),
      session,
    })
    await ended(again)
    expect(await entrances.refused('client_certificate')).toBe(1)
    await connectMqtt(url(entrances), { ...deviceOf(others), ca: certificates.ca })
    expect(client.connected).toBe(true)
  })
})

/** Its connection, and the clock that its server goes by. */
async function openSlow() {
  const clock = createManualClock()
  const entrances = await startEntrances({ certificates, clock })
  const socket = connectTcp(entrances.ports.mqtts, '127.0.0.1')
  atTheEnd(() => void socket.destroy())
  await once(socket, 'connect')
  return { clock, entrances, socket }
}

describe('a client that takes its time', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a handshake', Buffer.from('160301020001000', 'hex')],
  ])('with %s is cut off when its time is up', async (_what, bytes) => {
    const { clock, entrances, socket } = await openSlow()
    socket.write(bytes)
    const closed = ended(socket)
    // Not before the server has seen it.
    const other = await openTls(entrances.ports.mqtts, trusting(certificates))
    await connackOf(other, 'other')
    clock.advance(9_999)
    expect(await entrances.refused('tls_handshake')).toBe(0)
    clock.advance(1)
    await closed
    expect(await entrances.refused('tls_handshake')).toBe(1)
  })

  test('with the CONNECT has what the handshake has left of its time', async () => {
    const { clock, entrances, socket } = await openSlow()
    clock.advance(9_000)
    const secure = connectTls({ socket, servername: 'localhost', ca: certificates.ca })
    secure.on('error', () => {})
    await once(secure, 'secureConnect')
    const closed = ended(secure)
    // The server is done with the handshake when it answers on it.
    secure.write(encode(connectPacket()).subarray(0, 5))
    const fresh = await openTls(entrances.ports.mqtts, trusting(certificates))
    expect(await connackOf(fresh, 'fresh')).toBe(0)
    clock.advance(1_000)
    await closed
    expect(await entrances.refused('connect_timeout')).toBe(1)
    expect(fresh.destroyed).toBe(false)
  })

  test('does not delay closing', async () => {
    const { entrances, socket } = await openSlow()
    await openTls(entrances.ports.mqtts, trusting(certificates))
    const closed = ended(socket)
    await entrances.ingress.close()
    await closed
    expect(await entrances.refused('tls_handshake')).toBe(0)
  })
})

describe('bytes that are no handshake', () => {
  test('end their connection alone, whatever they are', async () => {
    const hello = await recordHello()
    let seed = 20_261_120
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    const ends = Array.from({ length: 200 }, async () => {
      const bytes = Buffer.from(hello.subarray(0, 1 + random(hello.length)))
      for (let count = 0; count <= random(8); count++) bytes[random(bytes.length)] = random(256)
      const socket = connectTcp(shared.ports.mqtts, '127.0.0.1').on('error', () => {})
      socket.end(bytes)
      socket.resume()
      await ended(socket)
    })
    await Promise.all(ends)
    const client = await connectMqtt(url(shared), trusting(certificates))
    await client.publishAsync('a/b', 'x', { qos: 1 })
    expect(await shared.refused('tls_handshake')).toBeGreaterThan(100)
    expect(shared.lines.length).toBeLessThan(200)
  })

  test('behind a handshake are none of MQTT either', async () => {
    const socket = await openTls(shared.ports.mqtts, trusting(certificates))
    socket.write(
      Buffer.concat([encode(connectPacket({ clientId: 'odd' })), Buffer.alloc(64, 0xff)]),
    )
    await ended(socket)
    const client = await connectMqtt(url(shared), trusting(certificates))
    expect(client.connected).toBe(true)
  })
})

/** What a client sends first. */
async function recordHello(): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connectTls({ port, host: '127.0.0.1' }).on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return hello
}

test('a message larger than a packet may be ends the connection over TLS as well', async () => {
  const entrances = await startEntrances({ certificates, options: { payloadBytesMax: 1_000 } })
  const socket = await openTls(entrances.ports.mqtts, trusting(certificates))
  expect(await connackOf(socket, 'large')).toBe(0)
  socket.write(encode(publishPacket({ payload: 'x'.repeat(1_001) })))
  await ended(socket)
  expect(await entrances.refused('payload_too_large')).toBe(1)
})
