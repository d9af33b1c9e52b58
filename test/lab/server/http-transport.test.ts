import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { openHttpTransport } from '../../../src/lab/server/http-transport.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

type Options = Parameters<typeof openHttpTransport>[1]

/** A server that answers with the length of the body. */
async function startTransport(limits: Options['transportLimits'] = {}, clock = systemClock) {
  const transport = await openHttpTransport(
    {
      clock,
      refuse: () => undefined,
      handle: ({ body }) =>
        Promise.resolve({ kind: 'answer', status: 200, headers: {}, body: `${body.length} bytes` }),
    },
    { host: '127.0.0.1', port: 0, transportLimits: limits },
  )
  onTestFinished(() => transport.close())
  return transport
}

async function open(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

/** What the server sends until it closes the connection. */
async function answerOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // Not with `once` of node:events, which rejects when the connection is reset.
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return Buffer.concat(chunks).toString()
}

const post = (length: number, body = '') =>
  `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`

describe('a connection is closed', () => {
  test('when its headers do not end in time, although bytes come', async () => {
    const { port } = await startTransport({ headersTimeoutMs: 200, checkIntervalMs: 50 })
    const socket = await open(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n')
    const timer = setInterval(() => socket.write('X-More: 1\r\n'), 20)
    onTestFinished(() => clearInterval(timer))
    expect(await answerOf(socket)).toBe('')
  })

  test('when a second request begins and its headers do not end in time', async () => {
    const { port } = await startTransport({ headersTimeoutMs: 200, checkIntervalMs: 50 })
    const socket = await open(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'data')
    socket.write('GET / HTTP/1.1\r\nHost:')
    expect(await answerOf(socket)).not.toContain('HTTP/1.1')
  })

  test('when it sends nothing', async () => {
    const { port } = await startTransport({ prefaceTimeoutMs: 50 })
    expect(await answerOf(await open(port, ''))).toBe('')
  })

  test('when a body stands still', async () => {
    const { port } = await startTransport({ bodyStalledMs: 50 })
    expect(await answerOf(await open(port, post(10, 'part')))).toBe('')
  })

  test('when a body takes too long, although bytes come', async () => {
    const clock = createManualClock()
    const { port } = await startTransport({ bodyStalledMs: 1_000, bodyTimeoutMs: 5_000 }, clock)
    const socket = await open(port, post(1_000, 'part'))
    const timer = setInterval(() => {
      socket.write('x')
      clock.advance(900)
    }, 5)
    onTestFinished(() => clearInterval(timer))
    expect(await answerOf(socket)).toBe('')
  })

  test('when a session of HTTP/2 has no request, and not while it has one', async () => {
    const clock = createManualClock()
    const { port } = await startTransport({ idleTimeoutMs: 1_000, bodyStalledMs: 60_000 }, clock)
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    onTestFinished(() => session.destroy())
    const request = session.request({ ':method': 'POST', ':path': '/' })
    request.write('some')
    await once(session, 'remoteSettings')
    await new Promise((resolve) => session.ping(resolve))
    clock.advance(10_000)
    request.end('more')
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(request, 'end')
    expect(Buffer.concat(chunks).toString()).toBe('8 bytes')
    const closed = once(session, 'close')
    await new Promise((resolve) => session.ping(resolve))
    clock.advance(1_001)
    await closed
  })
})

describe('the bytes of all bodies are bounded', () => {
  const limits = { heldBytesMax: 10_000, bodyBytesMax: 8_000, bodyStalledMs: 60_000 }

  test('announced bytes take no place', async () => {
    const { port } = await startTransport(limits)
    for (let count = 0; count < 20; count++) await open(port, post(8_000, 'x'))
    expect(await answerOf(await open(port, post(4, 'good')))).toContain('4 bytes')
  })

  test('the body that has waited longest makes room for one that arrives', async () => {
    const { port } = await startTransport(limits)
    const first = await open(port, post(6_000, 'x'.repeat(5_000)))
    const lost = answerOf(first)
    const good = await open(port, post(6_000, 'y'.repeat(4_000)))
    // What was sent before has been read when this is answered.
    await answerOf(await open(port, post(4, 'good')))
    good.write('y'.repeat(2_000))
    expect(await answerOf(good)).toContain('6000 bytes')
    first.end('x'.repeat(1_000))
    expect(await lost).toMatch(/^HTTP\/1.1 503 .*Too many bytes of requests/s)
  })

  test('a body in pieces of one byte is taken whole', async () => {
    const { port } = await startTransport(limits)
    const socket = await open(port, post(50))
    for (let count = 0; count < 50; count++) socket.write('x')
    expect(await answerOf(socket)).toContain('50 bytes')
  })
})
