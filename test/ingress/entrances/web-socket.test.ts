import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { compilePolicy } from '../../../src/identity/policies/policy.ts'
import { presignMqtt } from '../../helpers/presign.ts'
import { connectMqtt, makeCertificates, startEntrances } from './entrance-fixtures.ts'
import type { TestCertificates, TestEntrances } from './entrance-fixtures.ts'
import { atTheEnd, connectPacket, encode, publishPacket, until } from '../helpers.ts'
import { connectWebSocket, openWebSocket } from './web-socket-fixtures.ts'

const policy = compilePolicy({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
})
const permanent = { accessKeyId: 'KEYPERMANENT', secretAccessKey: 'secret-of-the-permanent-key' }
const session = {
  accessKeyId: 'KEYSESSION',
  secretAccessKey: 'secret-of-the-session-key',
  sessionToken: 'a+token/of==',
}
const accessKeys = {
  find: (id: string) => {
    const key = [permanent, session].find(({ accessKeyId }) => accessKeyId === id)
    return key && { ...key, policy }
  },
}

let certificates: TestCertificates
let shared: TestEntrances
beforeAll(async () => {
  certificates = await makeCertificates()
  shared = await startEntrances({ certificates, guard: { accessKeys } })
})

const hostOf = ({ ports }: TestEntrances) => `127.0.0.1:${ports.ws}`

describe('MQTT over WebSocket', () => {
  test('is MQTT, with the transport websocket', async () => {
    const client = await connectMqtt(`ws://${hostOf(shared)}/mqtt`, { clientId: 'over-ws' })
    const received = new Promise((resolve) => void client.once('message', resolve))
    await client.subscribeAsync('a/#')
    await client.publishAsync('a/b', 'x'.repeat(100_000), { qos: 1 })
    expect(await received).toBe('a/b')
    expect(shared.peers.at(-1)).toEqual({ transport: 'websocket', sourceIp: '127.0.0.1' })
  })

  test('over TLS has the certificate that the client showed', async () => {
    const { device, ca } = certificates
    await connectMqtt(`wss://localhost:${shared.ports.wss}/mqtt`, { ca, ...device })
    expect(shared.peers.at(-1)).toHaveProperty('certificate.principal', certificates.principal)
  })

  test('over TLS is refused with a certificate that cannot be verified', async () => {
    const { expiredDevice, ca } = certificates
    const url = `wss://localhost:${shared.ports.wss}/mqtt`
    const socket = new WebSocket(url, ['mqtt'], { ca, ...expiredDevice })
    await expect(once(socket, 'open')).rejects.toThrow('403')
    expect(await shared.refused('client_certificate')).toBe(1)
  })

  test('is a stream: packets need not be aligned with frames', async () => {
    const { socket, next } = await openWebSocket(shared)
    const bytes = Buffer.concat([
      encode(connectPacket({ clientId: 'pieces' })),
      encode(publishPacket({ messageId: 1 })),
      encode(publishPacket({ messageId: 2, payload: 'y'.repeat(300) })),
    ])
    for (const byte of bytes.subarray(0, 60)) socket.send(Buffer.of(byte))
    socket.send(bytes.subarray(60, 100), { fin: false })
    socket.ping()
    socket.send(bytes.subarray(100))
    expect(await next()).toMatchObject({ cmd: 'connack' })
    expect(await next()).toMatchObject({ cmd: 'puback', messageId: 1 })
    expect(await next()).toMatchObject({ cmd: 'puback', messageId: 2 })
    await until(async () => (await shared.heldBytes()) === 0)
  })

  test('accepts the older name of the subprotocol', async () => {
    const socket = new WebSocket(`ws://${hostOf(shared)}/mqtt`, ['other', 'mqttv3.1'])
    atTheEnd(() => socket.terminate())
    await once(socket, 'open')
    expect(socket.protocol).toBe('mqttv3.1')
  })

  test('ends with a close frame after DISCONNECT', async () => {
    const { socket, closed } = await connectWebSocket(shared, 'goodbye')
    socket.send(encode({ cmd: 'disconnect' }))
    expect(await closed).toBe(1_000)
  })

  test('of a client that closes is read to its end', async () => {
    const count = shared.messages.length
    const { socket, closed } = await connectWebSocket(shared, 'in a hurry')
    for (let index = 0; index < 100; index++) socket.send(encode(publishPacket({ qos: 0 })))
    socket.close(1_001)
    await closed
    await until(() => shared.messages.length === count + 100)
    expect(shared.messages).toHaveLength(count + 100)
  })

  test.each([
    ['a text frame', 1_003, (socket: WebSocket) => socket.send('text')],
    ['a frame that is too large', 1_009, (socket: WebSocket) => socket.send(Buffer.alloc(400_000))],
  ])('ends at %s with code %i', async (_what, code, send) => {
    const refused = await shared.refused('web_socket_protocol')
    const { socket, closed } = await connectWebSocket(shared, 'odd')
    send(socket)
    expect(await closed).toBe(code)
    expect(await shared.refused('web_socket_protocol')).toBe(refused + 1)
  })

  test('answers pings', async () => {
    const { socket } = await openWebSocket(shared)
    const pong = once(socket, 'pong')
    socket.ping('are you there')
    expect(String((await pong)[0])).toBe('are you there')
  })

  test('ends when no CONNECT comes in time', async () => {
    const entrances = await startEntrances({ certificates, options: { connectTimeoutMs: 50 } })
    const { closed } = await openWebSocket(entrances)
    await closed
    expect(await entrances.refused('connect_timeout')).toBe(1)
  })
})

/** What a request to open a WebSocket is answered with; 101 when it is opened. */
async function answerTo(
  { ports }: TestEntrances,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const request = httpRequest({
    port: ports.ws,
    host: '127.0.0.1',
    path,
    headers: {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      'sec-websocket-protocol': 'mqtt',
      ...headers,
    },
  })
  request.end()
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode, body: '' })
    })
    request.once('response', (response: IncomingMessage) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.once('end', () => resolve({ status: response.statusCode, body }))
    })
  })
}

describe('a signed URL', () => {
  test.each([
    ['a key', permanent],
    ['a key of a session', session],
  ])('of %s says who is there, whatever page it is of', async (_what, credentials) => {
    const url = await presignMqtt({ host: hostOf(shared), credentials })
    const client = await connectMqtt(`ws://${hostOf(shared)}${url}`, {
      transformWsUrl: () => `ws://${hostOf(shared)}${url}`,
      wsOptions: { origin: 'https://page.example' },
    })
    await client.publishAsync('a/b', 'x', { qos: 1 })
    expect(shared.peers.at(-1)).toEqual({
      transport: 'websocket',
      sourceIp: '127.0.0.1',
      accessKeyId: credentials.accessKeyId,
    })
  })

  test.each([
    ['another secret', { credentials: { ...permanent, secretAccessKey: 'another secret' } }],
    ['another region', { region: 'eu-west-1' }],
    ['another host', { host: 'other.example' }],
    ['of yesterday', { signingDate: new Date(Date.now() - 86_400_000) }],
  ])('with %s is refused: InvalidSignatureException', async (_what, given) => {
    const url = await presignMqtt({ host: hostOf(shared), credentials: permanent, ...given })
    const { status, body } = await answerTo(shared, url)
    expect(status).toBe(403)
    expect(JSON.parse(body)).toMatchObject({ code: 'InvalidSignatureException' })
  })

  test('of an unknown key, or without its token, is refused', async () => {
    const nobody = { ...permanent, accessKeyId: 'NOBODYSKEY' }
    const tokenless = { ...session, sessionToken: undefined }
    for (const credentials of [nobody, tokenless]) {
      const url = await presignMqtt({ host: hostOf(shared), credentials })
      const { status, body } = await answerTo(shared, url)
      expect(status).toBe(403)
      expect(JSON.parse(body)).toMatchObject({ code: 'UnrecognizedClientException' })
    }
    expect(await shared.refused('signature_refused')).toBeGreaterThanOrEqual(2)
    expect(JSON.stringify(shared.lines)).not.toContain(permanent.secretAccessKey)
  })
})

describe('a request for a WebSocket', () => {
  test.each([
    ['as it should be', '/mqtt', {}, 101],
    ['with a query', '/mqtt?SDK=some', {}, 101],
    [
      'of a page of this server',
      '/mqtt',
      { host: 'localhost:1', origin: 'http://localhost:1' },
      101,
    ],
    ['of a page of another', '/mqtt', { origin: 'https://page.example' }, 403],
    ['under another name of this machine', '/mqtt', { host: 'page.example' }, 403],
    ['without a subprotocol of MQTT', '/mqtt', { 'sec-websocket-protocol': 'chat' }, 400],
    ['without a key', '/mqtt', { 'sec-websocket-key': '' }, 400],
    ['of another version', '/mqtt', { 'sec-websocket-version': '7' }, 400],
    ['for another path', '/mqtts', {}, 404],
    ['for a path below', '/mqtt/x', {}, 404],
  ])('%s: %s %j is answered %i', async (_what, path, headers, status) => {
    expect((await answerTo(shared, path, headers)).status).toBe(status)
  })

  test('is refused while the broker stops', async () => {
    const entrances = await startEntrances({ certificates })
    await entrances.ingress.close()
    expect(await answerTo(entrances, '/mqtt')).toMatchObject({ status: 503 })
    expect(await entrances.refused('stopping')).toBe(1)
  })
})
