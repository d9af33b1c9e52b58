import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import path from 'node:path'
import { connect as connectTls } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { createTrustedProxies } from '../../../src/base/trusted-proxies.ts'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { temporaryFolder } from '../../identity/identity-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const connectionsMax = 25

async function makeTls() {
  const directory = await temporaryFolder()
  const nowMs = Date.now()
  await makeCertificateFolder({ directory, devices: [], hosts: [], force: false, nowMs })
  const file = (name: string) => path.join(directory, name)
  return { certificateFile: file('server.pem'), keyFile: file('server-key.pem') }
}

function openSocket(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  return socket
}

/** Resets as soon as the system has connected, often before the server has accepted. */
async function connectAndReset(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  const closed = once(socket, 'close')
  socket.once('connect', () => socket.resetAndDestroy())
  await closed
}

/** @returns the first line of the answer; undefined when the connection was closed without one */
async function statusOf(socket: Socket): Promise<string | undefined> {
  socket.write('GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  const closed = once(socket, 'close').then(() => undefined)
  const answered = once(socket, 'data').then(([bytes]) => String(bytes).slice(9, 12))
  return Promise.race([answered, closed])
}

test.each([
  ['HTTP', false],
  ['HTTPS', true],
])('connections that are reset at once take no place of %s for good', async (_name, isTls) => {
  const { port } = await startServer({
    options: { limits: { connectionsMax } },
    dependencies: isTls ? { tls: await makeTls() } : {},
  })
  for (let round = 0; round < 50; round++) {
    await Promise.all(Array.from({ length: 40 }, () => connectAndReset(port)))
  }
  const openAll = async () => {
    const sockets = Array.from({ length: connectionsMax }, () =>
      isTls
        ? connectTls({ socket: openSocket(port), rejectUnauthorized: false }).on('error', () => {})
        : openSocket(port),
    )
    const statuses = await Promise.all(sockets.map(statusOf))
    for (const socket of sockets) socket.destroy()
    return statuses
  }
  // The server may still have to see the last resets.
  await expect
    .poll(openAll, { timeout: 15_000 })
    .toEqual(Array.from({ length: connectionsMax }, () => '200'))
})

test('a WebSocket gives back its own place, though a proxy names its address twice', async () => {
  const closed: Promise<unknown>[] = []
  const { port } = await startServer({
    options: { limits: { connectionsPerAddressMax: 2 } },
    dependencies: {
      proxies: createTrustedProxies(['127.0.0.1']),
      onUpgrade: (_request, socket) => {
        closed.push(once(socket, 'close'))
        socket.resume().once('end', () => socket.destroy())
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n')
      },
    },
  })
  const open = async () => {
    const socket = openSocket(port)
    socket.write('PROXY TCP4 192.0.2.1 198.51.100.1 56324 8080\r\n')
    return { socket, status: await statusOf(socket) }
  }
  const [first, second] = [await open(), await open()]
  expect([first.status, second.status]).toEqual(['200', '200'])
  first.socket.write('GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n')
  first.socket.write('Upgrade: websocket\r\n\r\n')
  expect(String(await once(first.socket, 'data'))).toMatch(/ 101 /)
  first.socket.destroy()
  await Promise.all(closed)
  // The second has one of the two places of the address.
  expect([(await open()).status, (await open()).status]).toEqual(['200', undefined])
})
