import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { createTrustedProxies } from '../../../src/base/trusted-proxies.ts'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { temporaryFolder } from '../../identity/identity-fixtures.ts'
import { admin, send, signed, startGuarded } from '../guarded-server.ts'
import { startServer } from '../http-fixtures.ts'

const proxies = createTrustedProxies(['127.0.0.1'])
const headerOf = (address: string) => `PROXY TCP4 ${address} 198.51.100.1 56324 8080\r\n`
const request = 'GET /rules HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'

test('failures of unknown keys count for the client that the proxy names', async () => {
  const { port } = await startGuarded({ dependencies: { proxies } })
  const key = { ...admin, accessKeyId: 'NOBODY' }
  const sendFrom = (address: string) => {
    const { headers, ...others } = signed(port, { path: '/rules' }, { key })
    return send(port, { ...others, headers: { ...headers, 'x-forwarded-for': address } })
  }
  for (let count = 0; count < 10; count++) await sendFrom('192.0.2.1')
  expect((await sendFrom('192.0.2.1')).errorType).toBe('ThrottlingException')
  expect((await sendFrom('192.0.2.2')).errorType).toBe('UnrecognizedClientException')
})

test('X-Forwarded-For of others is not believed', async () => {
  const { url } = await startServer({ options: { callRate: 1 } })
  const statuses = []
  for (const address of ['192.0.2.1', '192.0.2.2']) {
    const headers = { 'x-forwarded-for': address }
    statuses.push((await fetch(`${url}/rules`, { headers })).status)
  }
  expect(statuses).toEqual([200, 400])
})

test('calls count for the client that a PROXY header names', async () => {
  const { port } = await startServer({ options: { callRate: 1 }, dependencies: { proxies } })
  const statusFrom = async (header: string) => {
    const socket = connect(port, '127.0.0.1')
    // In pieces, as a proxy may send it.
    for (const piece of [header.slice(0, 9), header.slice(9), request]) {
      socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return (await text(socket)).slice(9, 12)
  }
  expect(await statusFrom(headerOf('192.0.2.1'))).toBe('200')
  expect(await statusFrom(headerOf('192.0.2.1'))).toBe('400')
  expect(await statusFrom(headerOf('192.0.2.2'))).toBe('200')
  expect(await statusFrom('')).toBe('200')
  expect(await statusFrom('PROXY NONSENSE\r\n')).toBe('')
})

test('connections that a proxy gives the same address and port are each counted once', async () => {
  const limits = { connectionsPerAddressMax: 2 }
  const { port } = await startServer({ options: { limits }, dependencies: { proxies } })
  const openOne = async () => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.write(`${headerOf('192.0.2.1')}GET /rules HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
    const closed = once(socket, 'close').then(() => 'closed')
    const answered = once(socket, 'data').then(([bytes]) => String(bytes).slice(9, 12))
    return { socket, closed, outcome: await Promise.race([answered, closed]) }
  }
  const outcomes: string[] = []
  for (let round = 0; round < 3; round++) {
    const pair = [await openOne(), await openOne()]
    outcomes.push(...pair.map(({ outcome }) => outcome))
    const over = await openOne()
    outcomes.push(over.outcome)
    for (const { socket } of pair) socket.end()
    await Promise.all(pair.map(({ closed }) => closed))
  }
  expect(outcomes).toEqual(Array.from({ length: 3 }, () => ['200', '200', 'closed']).flat())
})

test('and so they do over TLS, where the header stands before the handshake', async () => {
  const directory = await temporaryFolder()
  await makeCertificateFolder({
    directory,
    devices: [],
    hosts: [],
    force: false,
    nowMs: Date.now(),
  })
  const file = (name: string) => path.join(directory, name)
  const tls = { certificateFile: file('server.pem'), keyFile: file('server-key.pem') }
  const ca = await readFile(file('ca.pem'), 'utf8')
  const { port } = await startServer({ options: { callRate: 1 }, dependencies: { proxies, tls } })
  const statusFrom = async (address: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(headerOf(address))
    const secure = connectTls({ socket, servername: 'localhost', ca })
    await once(secure, 'secureConnect')
    secure.write(request)
    return (await text(secure)).slice(9, 12)
  }
  expect(await statusFrom('192.0.2.1')).toBe('200')
  expect(await statusFrom('192.0.2.1')).toBe('400')
  expect(await statusFrom('192.0.2.2')).toBe('200')
})
