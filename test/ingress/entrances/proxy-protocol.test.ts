import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { parseProxyHeader } from '../../../src/ingress/entrances/proxy-protocol.ts'
import { atTheEnd, connectPacket, encode } from '../helpers.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { ended, makeCertificates, startEntrances } from './entrance-fixtures.ts'

const signature = '\r\n\r\n\0\r\nQUIT\n'

/** A header of version 2: after the signature, bytes in hexadecimal. */
const binary = (hex: string) =>
  Buffer.concat([Buffer.from(signature, 'latin1'), Buffer.from(hex.replaceAll(' ', ''), 'hex')])

const ofIPv4 = binary('21 11 000c c0000201 c6336401 dc04 075b')
const ofIPv6 = binary(`21 21 0024 20010db8${'0'.repeat(22)}01 ${'0'.repeat(31)}2 dc04 075b`)

describe('a PROXY header', () => {
  const source = { address: '192.0.2.1', port: 56_324 }
  test.each<[string, Buffer, unknown]>([
    ['1, IPv4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n'), source],
    [
      '1, IPv6',
      Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 56324 1883\r\n'),
      { address: '2001:db8::1', port: 56_324 },
    ],
    ['1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
    ['1, unknown with addresses', Buffer.from('PROXY UNKNOWN a b 1 2\r\n'), undefined],
    ['2, IPv4', ofIPv4, source],
    ['2, IPv6', ofIPv6, { address: '2001:db8:0:0:0:0:0:1', port: 56_324 }],
    ['2, with extensions', binary('21 11 0010 c0000201 c6336401 dc04 075b 04000100'), source],
    ['2, of the proxy itself', binary('20 00 0000'), undefined],
    ['2, of a Unix socket', binary('21 31 0000'), undefined],
  ])('of version %s gives the client, in whatever pieces it comes', (_name, header, expected) => {
    const bytes = Buffer.concat([header, Buffer.from([0x10, 0, 1])])
    expect(parseProxyHeader(bytes)).toEqual({ source: expected, length: header.length })
    for (let length = 1; length < header.length; length++) {
      expect(parseProxyHeader(header.subarray(0, length))).toBeUndefined()
    }
  })

  test.each<[string, Buffer]>([
    ['a line without an end', Buffer.from(`PROXY TCP4 ${'1'.repeat(100)}`)],
    ['an address of another family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['no address', Buffer.from('PROXY TCP4 a b 1 2\r\n')],
    ['no port', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 x 2\r\n')],
    ['a port that is none', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n')],
    ['another protocol', Buffer.from('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['another version', binary('31 11 000c c0000201 c6336401 dc04 075b')],
    ['another command', binary('22 11 000c c0000201 c6336401 dc04 075b')],
    ['too few addresses', binary('21 11 0004 c0000201')],
    ['too long extensions', binary('21 11 ffff')],
  ])('is refused with %s', (_name, bytes) => {
    expect(parseProxyHeader(bytes)).toEqual({ fault: expect.any(String) as string })
  })

  test('is never taken from what MQTT, TLS or HTTP begin with', () => {
    for (const first of [
      '\x10\x10\0\x04MQTT',
      '\x16\x03\x01\x02',
      'PUT /',
      'PROPFIND /',
      'GET /',
    ]) {
      const bytes = Buffer.from(first, 'latin1')
      expect(parseProxyHeader(bytes)).toEqual({ source: undefined, length: 0 })
    }
  })

  test('of any bytes is a header, none, too short or refused, and never longer than what is there', () => {
    const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', signature, `${signature}\x21`)
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 200 }), (begin, rest) => {
        const bytes = Buffer.concat([Buffer.from(begin, 'latin1'), rest])
        const parsed = parseProxyHeader(bytes)
        const length = parsed && 'length' in parsed ? parsed.length : 0
        expect(length).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })
})

const connackLength = 4
const ofLine = (address: string) => `PROXY TCP4 ${address} 198.51.100.1 56324 1883\r\n`

/** A connection that begins with these bytes. */
async function open(port: number, ...bytes: readonly (string | Buffer)[]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  atTheEnd(() => void socket.destroy())
  await once(socket, 'connect')
  for (const each of bytes) socket.write(each)
  return socket
}

describe('behind a trusted proxy', () => {
  const proxies = ['127.0.0.0/8']
  const mqttConnect = encode(connectPacket({ clientId: 'c' }))

  test('MQTT clients have the addresses that the proxy names, each with limits of its own', async () => {
    const certificates = await makeCertificates()
    const options = { connectionsPerAddressMax: 1 }
    const { ports, peers, refused, lines } = await startEntrances({
      certificates,
      proxies,
      options,
    })
    const kept = []
    for (const header of [ofLine('192.0.2.1'), ofIPv4, ofLine('192.0.2.2'), ofIPv6, '']) {
      const socket = await open(ports.mqtt, header, mqttConnect)
      const answer = await Promise.race([once(socket, 'data'), ended(socket)])
      kept.push(answer?.[0]?.length === connackLength)
    }
    expect(kept).toEqual([true, false, true, true, true])
    expect(peers.map(({ sourceIp }) => sourceIp)).toEqual([
      '192.0.2.1',
      '192.0.2.2',
      '2001:db8:0:0:0:0:0:1',
      '127.0.0.1',
    ])
    expect(await refused('too_many_from_address')).toBe(1)
    expect(lines).toContainEqual(
      expect.objectContaining({ reason: 'too_many_from_address', sourceIp: '192.0.2.1' }),
    )
  })

  test('a header that is not valid ends the connection', async () => {
    const certificates = await makeCertificates()
    const { ports, refused } = await startEntrances({ certificates, proxies })
    await ended(await open(ports.mqtt, 'PROXY NONSENSE\r\n', mqttConnect))
    expect(await refused('proxy_header')).toBe(1)
  })

  test('a connection without a byte is closed in time', async () => {
    const certificates = await makeCertificates()
    const options = { connectTimeoutMs: 50 }
    const { ports, refused } = await startEntrances({ certificates, proxies, options })
    await ended(await open(ports.mqtt))
    expect(await refused('proxy_header')).toBe(1)
  })

  test('a connection whose header has not come does not hold a close up', async () => {
    const certificates = await makeCertificates()
    // The clock stands still, so that no time limit ends the connection.
    const { ingress, ports, peers } = await startEntrances({
      certificates,
      proxies,
      clock: createManualClock(),
    })
    const sockets = [await open(ports.mqtt), await open(ports.mqtts, 'PROXY TCP4 ')]
    const allEnded = Promise.all(sockets.map(ended))
    await ingress.close()
    await allEnded
    expect(peers).toEqual([])
  })

  test('the header stands before the handshake of TLS', async () => {
    const certificates = await makeCertificates()
    const { ports, peers } = await startEntrances({ certificates, proxies })
    const socket = await open(ports.mqtts, ofLine('192.0.2.1'))
    const tls = connectTls({ socket, servername: 'localhost', ca: certificates.ca })
    await once(tls, 'secureConnect')
    tls.write(mqttConnect)
    await once(tls, 'data')
    expect(peers).toMatchObject([{ transport: 'tls', sourceIp: '192.0.2.1' }])
    tls.destroy()
  })

  test('a WebSocket is from the client in X-Forwarded-For', async () => {
    const certificates = await makeCertificates()
    const { ports, peers } = await startEntrances({ certificates, proxies })
    const headers = { 'x-forwarded-for': '198.51.100.7, 192.0.2.1' }
    const webSocket = new WebSocket(`ws://127.0.0.1:${ports.ws}/mqtt`, ['mqtt'], { headers })
    atTheEnd(() => webSocket.terminate())
    await once(webSocket, 'open')
    webSocket.send(mqttConnect)
    await once(webSocket, 'message')
    expect(peers).toMatchObject([{ transport: 'websocket', sourceIp: '192.0.2.1' }])
  })

  test('nobody else may name an address', async () => {
    const certificates = await makeCertificates()
    const { ports, peers } = await startEntrances({ certificates, proxies: ['192.0.2.9'] })
    await ended(await open(ports.mqtt, ofLine('192.0.2.1'), mqttConnect))
    expect(peers).toEqual([])
  })
})
