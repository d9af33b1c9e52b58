import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { DescribeEndpointCommand, IoTClient } from '@aws-sdk/client-iot'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { describe, expect, test, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { HttpServerDependencies, HttpServerOptions } from '../../../src/http/http-server.ts'
import type { OnUpgrade } from '../../../src/http/server/node-server.ts'
import { SluiceError } from '../../../src/base/errors.ts'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { createWatchedLog, temporaryFolder } from '../../identity/identity-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

async function makeCertificates(directory: string, force = false): Promise<void> {
  const nowMs = Date.now()
  await makeCertificateFolder({ directory, devices: ['d1'], hosts: [], force, nowMs })
}

async function startTls(
  dependencies: Partial<HttpServerDependencies> = {},
  withClients = true,
  options: Partial<HttpServerOptions> = {},
) {
  const folder = await temporaryFolder()
  await makeCertificates(folder)
  const file = (name: string) => path.join(folder, name)
  const log = createWatchedLog()
  log.clock.setWall(Date.now())
  const server = await startServer({
    options,
    dependencies: {
      ...dependencies,
      clock: log.clock,
      logger: log.logger,
      tls: {
        certificateFile: file('server.pem'),
        keyFile: file('server-key.pem'),
        ...(withClients && { authorityFile: file('ca.pem') }),
      },
    },
  })
  const ca = await readFile(file('ca.pem'), 'utf8')
  return { ...server, folder, file, log, ca, url: `https://127.0.0.1:${server.port}` }
}

/** What is answered to these bytes, as it comes; the connection must end by itself. */
async function answerTo(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  // A client that goes on sending may see the end as a reset.
  socket.on('error', () => undefined)
  socket.write(bytes)
  return text(socket)
}

const expectRefusal = (answer: string, status: number, code: string, message: string) => {
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer).toContain(`x-amzn-ErrorType: ${code}`)
  expect(answer).toMatch(/x-amzn-RequestId: [0-9a-f-]{36}/)
  expect(answer).toContain(message)
}

const serial = (socket: TLSSocket) => socket.getPeerCertificate().serialNumber

describe('over TLS', () => {
  test("AWS's client is answered, and told where the data plane is", async () => {
    const { url, port, ca } = await startTls()
    const iot = new IoTClient({
      endpoint: url,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
      requestHandler: new NodeHttpHandler({ httpsAgent: { ca } }),
    })
    onTestFinished(() => iot.destroy())
    const answer = await iot.send(new DescribeEndpointCommand({ endpointType: 'iot:Data-ATS' }))
    expect(answer.endpointAddress).toBe(`127.0.0.1:${port}`)
  })

  test('a new certificate is used without closing open connections', async () => {
    const { port, folder, ca, log } = await startTls()
    const open = async () => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca })
      await once(socket, 'secureConnect')
      onTestFinished(() => void socket.destroy())
      return socket
    }
    const before = await open()
    await makeCertificates(folder, true)
    expect(await log.nextLine()).toMatchObject({ msg: 'the TLS certificate was read again' })
    const after = await open()
    expect(serial(after)).not.toBe(serial(before))
    expect(after.getProtocol()).toMatch(/^TLSv1\.[23]$/)
    before.write('GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect(String(await once(before, 'data'))).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('older versions of TLS are refused', async () => {
    const { port, ca } = await startTls()
    const socket = tls.connect({ port, host: '127.0.0.1', ca, maxVersion: 'TLSv1.1' })
    await expect(once(socket, 'secureConnect')).rejects.toThrow(/protocol|alert/i)
  })

  test('plain HTTP is told to use https', async () => {
    const { port } = await startTls()
    const answer = await answerTo(port, 'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n')
    expectRefusal(answer, 400, 'InvalidRequestException', 'this port speaks TLS: use https')
  })

  test('connections over the limit are closed until another one ends', async () => {
    const { port, ca } = await startTls({}, true, { limits: { connectionsMax: 2 } })
    const open = async () => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca })
      onTestFinished(() => void socket.destroy())
      return once(socket, 'secureConnect').then(
        () => socket,
        () => undefined,
      )
    }
    const [first, second, third] = [await open(), await open(), await open()]
    expect([first, second, third].map((socket) => socket !== undefined)).toEqual([
      true,
      true,
      false,
    ])
    first?.destroy()
    await expect.poll(open).toBeDefined()
  })

  test('bytes that are neither TLS nor HTTP end the connection', async () => {
    const { port } = await startTls()
    expect(await answerTo(port, '\u0016\u0003\u0001\u0000\u0005nonsense')).not.toContain('HTTP')
  })

  test.each([
    ['asked for, and seen by who takes an upgrade', true, true],
    ['not asked for without a CA', false, false],
  ])('client certificates are %s', async (_what, withClients, isSeen) => {
    const seen: boolean[] = []
    const onUpgrade: OnUpgrade = (_request, socket) => {
      const { authorized } = socket as TLSSocket
      seen.push(authorized && (socket as TLSSocket).getPeerX509Certificate() !== undefined)
      socket.destroy()
    }
    const { url, port, file, ca } = await startTls({ onUpgrade }, withClients)
    const [cert, key] = await Promise.all([
      readFile(file('devices/d1.pem')),
      readFile(file('devices/d1-key.pem')),
    ])
    const socket = new WebSocket(`wss://127.0.0.1:${port}/mqtt`, { ca, cert, key })
    await once(socket, 'error')
    expect(seen).toEqual([isSeen])
    // Nobody has to show one.
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${url}/v1/health`, { ca, agent: false }, resolve).on('error', reject)
    })
    expect(answer.resume().statusCode).toBe(200)
  })
})

async function startWithWebSockets(options: Partial<HttpServerOptions> = {}) {
  const sockets = new WebSocketServer({ noServer: true })
  onTestFinished(() => sockets.close())
  const paths: (string | undefined)[] = []
  const onUpgrade: OnUpgrade = (request, socket, head) => {
    if (request.url?.endsWith('?refused')) {
      throw new SluiceError('AccessDeniedException', 'not this one')
    }
    paths.push(request.url)
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (data) => webSocket.send(data))
    })
  }
  return { ...(await startServer({ options, dependencies: { onUpgrade } })), paths }
}

describe('an upgrade', () => {
  test('to WebSocket on /mqtt is passed to the broker', async () => {
    const { port, paths } = await startWithWebSockets()
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt?x=1`)
    await once(socket, 'open')
    socket.send('hello')
    const [message] = (await once(socket, 'message')) as [Buffer]
    expect(String(message)).toBe('hello')
    expect(paths).toEqual(['/mqtt?x=1'])
    socket.close()
    await once(socket, 'close')
  })

  test.each([
    ['/rules', 'websocket', 400, 'InvalidRequestException', 'an upgrade is to WebSocket, on /mqtt'],
    ['/mqtt/', 'websocket', 400, 'InvalidRequestException', 'an upgrade is to WebSocket, on /mqtt'],
    ['/mqtt?refused', 'websocket', 403, 'AccessDeniedException', 'not this one'],
  ])('on %s to %s is refused: %i %s', async (target, upgrade, status, code, message) => {
    const { port, paths } = await startWithWebSockets()
    const head = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\n`
    const answer = await answerTo(port, `${head}Upgrade: ${upgrade}\r\n\r\n`)
    expectRefusal(answer, status, code, message)
    expect(paths).toEqual([])
  })

  test('is ignored when there is no broker', async () => {
    const { port } = await startServer()
    const head = 'GET /rules HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade, close\r\n'
    expect(await answerTo(port, `${head}Upgrade: h2c\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('does not count as a connection for requests', async () => {
    const { port, url } = await startWithWebSockets({ limits: { connectionsMax: 1 } })
    for (let count = 0; count < 3; count++) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`)
      onTestFinished(() => socket.terminate())
      await once(socket, 'open')
    }
    expect((await fetch(`${url}/v1/health`)).status).toBe(200)
  })

  test('that is left open does not keep the server from closing', async () => {
    const { port, close } = await startWithWebSockets({ closeTimeoutMs: 50 })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`)
    await once(socket, 'open')
    const closed = once(socket, 'close')
    await close()
    await closed
    expect(socket.readyState).toBe(socket.CLOSED)
  })
})
