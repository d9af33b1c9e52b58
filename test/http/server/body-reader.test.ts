import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { admin, send, signed, startGuarded } from '../guarded-server.ts'
import type { TestKey } from '../guarded-server.ts'
import { absentClients, startServer } from '../http-fixtures.ts'

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  // The server may close the connection while something is being sent.
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Announces a body of `length` bytes and sends `sent` of it. */
async function openBody(
  port: number,
  given: { length: number; sent: string; headers?: Readonly<Record<string, string>> },
) {
  const socket = await open(port)
  const { host: _host, ...others } = { host: '', ...given.headers }
  const fields = Object.entries({ Host: `localhost:${port}`, ...others })
  const lines = fields.map(([name, value]) => `${name}: ${value}`)
  const head = ['POST /topics/t HTTP/1.1', ...lines, `Content-Length: ${given.length}`, '', '']
  socket.write(head.join('\r\n') + given.sent)
  return socket
}

async function publish(url: string, body: string): Promise<number> {
  const answer = await fetch(`${url}/topics/t`, { method: 'POST', body })
  await answer.arrayBuffer()
  return answer.status
}

/** Publishing works, and each message is taken at once. */
const published = { broker: { ...absent(), publish: async () => undefined } }

function absent() {
  return {
    retained: () => undefined,
    listRetained: () => [],
    ...absentClients,
  }
}

describe('bodies of one byte that announce more', () => {
  const bodies = 600

  test('keep nobody from publishing where nothing is authenticated', async () => {
    const { port, url } = await startServer({ dependencies: published })
    const held = { length: 131_072, sent: 'x' }
    await Promise.all(Array.from({ length: bodies }, () => openBody(port, held)))
    const statuses = []
    for (let count = 0; count < 20; count++) statuses.push(await publish(url, 'y'.repeat(5_000)))
    expect(statuses).toEqual(Array(20).fill(200))
  })

  test('keep nobody from publishing when their sender knows the id of a key', async () => {
    const { port } = await startGuarded({ dependencies: published })
    const wrong: TestKey = { ...admin, secretAccessKey: 'secret-of-another' }
    const request = { method: 'POST', path: '/topics/t', body: 'y' }
    const forged = signed(port, request, { key: wrong, service: 'iotdata' })
    const held = { length: 131_072, sent: 'x', ...(forged.headers && { headers: forged.headers }) }
    await Promise.all(Array.from({ length: bodies }, () => openBody(port, held)))
    for (let count = 0; count < 5; count++) {
      const answer = await send(port, signed(port, request, { service: 'iotdata' }))
      expect(answer.status).toBe(200)
    }
  })
})

describe('a body that arrives', () => {
  test('is ended when it stands still, however long the request may take', async () => {
    const { port } = await startServer({ options: { limits: { bodyStalledTimeoutMs: 100 } } })
    const answer = await text(await openBody(port, { length: 10, sent: 'x' }))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('no byte of the body arrived for 100 ms')
  })

  test('gives its place to a newer one of the same caller when it has waited longest', async () => {
    const { port } = await startServer({
      options: { bodiesPerCallerMax: 2 },
      dependencies: published,
    })
    const first = await openBody(port, { length: 2, sent: 'x' })
    const second = await openBody(port, { length: 2, sent: 'x' })
    const third = await openBody(port, { length: 2, sent: 'x' })
    expect(await text(first)).toMatch(/^HTTP\/1\.1 429 .*ThrottlingException/s)
    for (const socket of [second, third]) {
      socket.write('y')
      expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /)
    }
  })

  test('takes no place from callers of another key', async () => {
    const other: TestKey = { accessKeyId: 'OTHER', secretAccessKey: 'secret-of-the-other' }
    const { port } = await startGuarded({
      keys: [admin, other],
      options: { bodiesPerCallerMax: 1 },
      dependencies: published,
    })
    const request = { method: 'POST', path: '/topics/t', body: 'xy' }
    const { headers = {} } = signed(port, request, { service: 'iotdata' })
    const mine = await openBody(port, { length: 2, sent: 'x', headers })
    const theirs = signed(port, request, { key: other, service: 'iotdata' })
    expect((await send(port, theirs)).status).toBe(200)
    mine.write('y')
    expect(String(await once(mine, 'data'))).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('counts by the bytes that are there, and the caller that holds most makes room', async () => {
    const { port, url } = await startServer({
      options: { bodyBytesMax: 1_000 },
      dependencies: published,
    })
    const large = await openBody(port, { length: 100_000, sent: 'x'.repeat(900) })
    const statuses = [await publish(url, 'y'.repeat(200)), await publish(url, 'y'.repeat(900))]
    expect(statuses).toEqual([200, 200])
    expect(await text(large)).toMatch(/^HTTP\/1\.1 429 .*retry-after: 1\r\n/s)
    expect(await publish(url, 'y'.repeat(1_001))).toBe(429)
  })

  test('is refused while bodies that are being handled fill the memory', async () => {
    const handling = new EventEmitter()
    const handled = once(handling, 'finished')
    const { url } = await startServer({
      options: { bodyBytesMax: 1_000 },
      dependencies: { broker: { ...absent(), publish: async () => void (await handled) } },
    })
    const first = publish(url, 'y'.repeat(900))
    await expect.poll(() => publish(url, 'y'.repeat(200))).toBe(429)
    handling.emit('finished')
    expect(await first).toBe(200)
    await expect.poll(() => publish(url, 'y'.repeat(200))).toBe(200)
  })

  test('in many small pieces is put together', async () => {
    const bodies: string[] = []
    const publishing = async ({ payload }: { payload: Uint8Array }) =>
      void bodies.push(Buffer.from(payload).toString())
    const { port } = await startServer({
      dependencies: { broker: { ...absent(), publish: publishing } },
    })
    const socket = await open(port)
    const pieces = Array.from({ length: 1_000 }, (_, index) => String(index))
    const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
    const head = 'POST /topics/t HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n'
    socket.write(`${head}${chunks.join('')}0\r\n\r\n`)
    await once(socket, 'data')
    expect(bodies).toEqual([pieces.join('')])
  })
})

describe('a request without a body, or of an unknown key', () => {
  test('is answered while all places and bytes are taken', async () => {
    const events = new EventEmitter()
    const taken = once(events, 'taken')
    const hold = () => {
      events.emit('taken')
      return new Promise<void>(() => undefined)
    }
    const { port } = await startGuarded({
      options: { bodyBytesMax: 100, bodiesPerCallerMax: 1 },
      dependencies: { broker: { ...absent(), publish: hold } },
    })
    const request = { method: 'POST', path: '/topics/t', body: 'y'.repeat(100) }
    const first = send(port, signed(port, request, { service: 'iotdata' }))
    first.catch(() => undefined)
    await taken
    const second = await send(port, signed(port, request, { service: 'iotdata' }))
    expect(second.status).toBe(429)
    expect((await send(port, signed(port, { path: '/rules' }))).status).toBe(200)
    const nobody = { ...admin, accessKeyId: 'NOBODY' }
    const unknown = await send(port, signed(port, request, { key: nobody, service: 'iotdata' }))
    expect(unknown.errorType).toBe('UnrecognizedClientException')
  })
})
