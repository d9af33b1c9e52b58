import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setInterval } from 'node:timers'
import { PublishCommand } from '@aws-sdk/client-iot-data-plane'
import { ListTopicRulesCommand } from '@aws-sdk/client-iot'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { HttpServerOptions } from '../../../src/http/http-server.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { startServer } from '../http-fixtures.ts'
import { admin, clientsOf, send, signed, startGuarded } from '../guarded-server.ts'
import type { Sent, TestKey } from '../guarded-server.ts'

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  // The server may end it while something is being sent.
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** What is answered to bytes after which the client does not end the connection. */
async function answerTo(port: number, bytes: string): Promise<string> {
  const socket = await open(port)
  socket.write(bytes)
  return text(socket)
}

const head = (line: string, ...headers: readonly string[]) =>
  [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n')

const refusal = (status: number, code: string, message: string) => ({
  asymmetricMatch: (answer: unknown) =>
    typeof answer === 'string' &&
    answer.startsWith(`HTTP/1.1 ${status} `) &&
    /x-amzn-requestid: [0-9a-f-]{36}/i.test(answer) &&
    new RegExp(`x-amzn-errortype: ${code}`, 'i').test(answer) &&
    answer.includes(message),
})

describe('a client that takes its time', () => {
  const limits = {
    headersTimeoutMs: 150,
    requestTimeoutMs: 300,
    stalledTimeoutMs: 10_000,
    checkIntervalMs: 25,
  }
  const post = head('POST /v1/evaluate', 'Content-Length: 100000')
  const chunked = head('POST /rules/r', 'Transfer-Encoding: chunked')

  test.each([
    ['nothing at all', '', ''],
    ['a header, character by character', 'GET /rules HTTP/1.1\r\nX-Long: ', 'x'],
    ['headers without end', 'GET /rules HTTP/1.1\r\n', 'X-More: 1\r\n'],
    ['a body, byte by byte', post, '{'],
    ['a body, chunk by chunk', chunked, '1\r\n{\r\n'],
  ])('sends %s, and is ended in time', async (_what, bytes, drip) => {
    const { port } = await startServer({ options: { limits } })
    const socket = await open(port)
    if (bytes !== '') socket.write(bytes)
    const dripping = setInterval(() => drip !== '' && socket.write(drip), 10)
    onTestFinished(() => clearInterval(dripping))
    expect(await text(socket)).toEqual(
      refusal(400, 'InvalidRequestException', 'the request did not arrive in time'),
    )
  })

  test('that signs with a known key is ended in time as well', async () => {
    const { port } = await startGuarded({ options: { limits } })
    const { headers = {} } = signed(port, { method: 'POST', path: '/rules/r', body: 'x' })
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    const request = ['POST /rules/r HTTP/1.1', ...fields, 'content-length: 9', '', 'x'].join('\r\n')
    expect(await answerTo(port, request)).toContain('did not arrive in time')
  })

  test('waits for an answer that does not come, and is ended', async () => {
    const { port } = await startServer({
      options: { limits: { stalledTimeoutMs: 100 } },
      dependencies: ({ broker }) => ({
        broker: { ...broker, publish: () => new Promise<void>(() => undefined) },
      }),
    })
    expect(await answerTo(port, head('POST /topics/t', 'Content-Length: 0'))).toBe('')
  })
})

describe('a request that is too much is refused before it is read', () => {
  const tooLarge = 'the body is larger than the 131072 bytes that are taken here'
  test.each([
    [
      'a body of announced length',
      head('POST /topics/t', 'Content-Length: 200000'),
      refusal(400, 'InvalidRequestException', tooLarge),
    ],
    [
      'a body of chunks',
      head('POST /topics/t', 'Transfer-Encoding: chunked') + `20001\r\n${'x'.repeat(0x20001)}\r\n`,
      refusal(400, 'InvalidRequestException', tooLarge),
    ],
    [
      'a hundred and one headers',
      head('GET /rules', 'Connection: close', ...lines(99)),
      refusal(400, 'InvalidRequestException', 'more than 100 headers are given'),
    ],
    [
      'headers of more than 64 KiB',
      head('GET /rules', `X-Long: ${'x'.repeat(65_536)}`),
      refusal(400, 'InvalidRequestException', 'the headers are too large'),
    ],
    [
      'no Host',
      'GET /rules HTTP/1.1\r\nConnection: close\r\n\r\n',
      refusal(400, 'InvalidRequestException', 'the header Host is missing'),
    ],
    [
      'an expectation',
      head('POST /rules/r', 'Expect: miracles', 'Content-Length: 2'),
      refusal(400, 'InvalidRequestException', 'Expect takes 100-continue alone'),
    ],
    [
      'CONNECT',
      head('CONNECT example.org:443'),
      refusal(405, 'MethodNotAllowedException', 'CONNECT is not a method here'),
    ],
    [
      'two lengths',
      head('POST /rules/r', 'Content-Length: 1', 'Content-Length: 2'),
      refusal(400, 'InvalidRequestException', 'not readable HTTP/1.1'),
    ],
    [
      'a length and chunks',
      head('POST /rules/r', 'Content-Length: 1', 'Transfer-Encoding: chunked'),
      refusal(400, 'InvalidRequestException', 'not readable HTTP/1.1'),
    ],
  ])('%s', async (_what, bytes, expected) => {
    const { port } = await startServer()
    expect(await answerTo(port, bytes)).toEqual(expected)
  })

  test('a hundred headers are taken', async () => {
    const { port } = await startServer()
    const answer = await answerTo(port, head('GET /rules', 'Connection: close', ...lines(98)))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('a body that is asked about first is called for when it may come', async () => {
    const expecting = ['Expect: 100-continue', 'Connection: close']
    const { port } = await startServer()
    const socket = await open(port)
    socket.write(head('PUT /v1/rules/r/delivery', 'Content-Length: 2', ...expecting))
    expect(String(await once(socket, 'data'))).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{}')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /)
    const tooLong = head('PUT /v1/rules/r/delivery', 'Content-Length: 200000', ...expecting)
    expect(await answerTo(port, tooLong)).toMatch(/^HTTP\/1\.1 400 /)
    const guarded = await startGuarded()
    const unsigned = head('PUT /v1/rules/r/delivery', 'Content-Length: 2', ...expecting)
    expect(await answerTo(guarded.port, unsigned)).toMatch(/^HTTP\/1\.1 403 /)
  })

  test('more connections than are taken', async () => {
    const { port } = await startServer({ options: { limits: { connectionsMax: 1 } } })
    const first = await open(port)
    first.write(head('GET /rules'))
    await once(first, 'data')
    expect(await answerTo(port, head('GET /rules'))).toBe('')
  })
})

function lines(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `X-${index}: 1`)
}

/** A clock whose delays are moved by hand; signatures need the time of day. */
function movedClock() {
  let nowMs = 0
  return {
    clock: { ...systemClock, monotonicMs: () => nowMs },
    advance: (ms: number) => {
      nowMs += ms
    },
  }
}

describe('refused signatures are limited', () => {
  const wrong: TestKey = { ...admin, secretAccessKey: 'secret-of-another' }
  const other: TestKey = { accessKeyId: 'OTHER', secretAccessKey: 'secret-of-the-other' }
  const rules: Sent = { path: '/rules' }

  async function startCounting() {
    const { clock, advance } = movedClock()
    const { port } = await startGuarded({ keys: [admin, other], dependencies: { clock } })
    const sendAs = (key: TestKey, request = rules, service = 'iot') =>
      send(port, signed(port, request, { key, service }))
    return { sendAs, advance }
  }

  test('of one key, but a valid signature of it always passes', async () => {
    const { sendAs, advance } = await startCounting()
    for (let count = 0; count < 10; count++) {
      expect((await sendAs(wrong)).errorType).toBe('InvalidSignatureException')
    }
    expect(await sendAs(wrong)).toMatchObject({ status: 400, errorType: 'ThrottlingException' })
    expect((await sendAs(admin)).status).toBe(200)
    const retained = await sendAs(wrong, { path: '/retainedMessage' }, 'iotdata')
    expect(retained).toMatchObject({ status: 429, errorType: 'ThrottlingException' })
    expect((await sendAs(other)).status).toBe(200)
    advance(6_000)
    expect((await sendAs(wrong)).errorType).toBe('InvalidSignatureException')
  })

  test('of unknown keys, which take nothing from the known ones of their address', async () => {
    const { sendAs, advance } = await startCounting()
    const guess = (count: number) => sendAs({ ...admin, accessKeyId: `GUESS${count}` })
    for (let count = 0; count < 100; count++) {
      expect((await guess(count)).errorType).toBe('UnrecognizedClientException')
    }
    expect((await guess(100)).errorType).toBe('ThrottlingException')
    expect((await sendAs(admin)).status).toBe(200)
    expect((await sendAs(wrong)).errorType).toBe('InvalidSignatureException')
    advance(600)
    expect((await guess(101)).errorType).toBe('UnrecognizedClientException')
  })

  test('but not those of a clock that is off', async () => {
    const { clock } = movedClock()
    const { port } = await startGuarded({ dependencies: { clock } })
    for (let count = 0; count < 12; count++) {
      const answer = await send(port, signed(port, rules, { ageMs: 360_000 }))
      expect(answer.errorType).toBe('InvalidSignatureException')
    }
  })
})

describe('calls are limited where that is set', () => {
  const options: Partial<HttpServerOptions> = { callRate: 3 }
  const throttled = { name: 'ThrottlingException', $metadata: { httpStatusCode: 400 } }

  test('by access key, as AWS does', async () => {
    const { clock, advance } = movedClock()
    const other: TestKey = { accessKeyId: 'OTHER', secretAccessKey: 'secret-of-the-other' }
    const server = await startGuarded({ keys: [admin, other], options, dependencies: { clock } })
    const { iot, iotData } = clientsOf(server, admin)
    const list = () => iot.send(new ListTopicRulesCommand({}))
    for (let count = 0; count < 3; count++) await list()
    await expect(list()).rejects.toMatchObject(throttled)
    await expect(iotData.send(new PublishCommand({ topic: 't' }))).rejects.toMatchObject({
      name: 'ThrottlingException',
      $metadata: { httpStatusCode: 429 },
    })
    const { iot: iotOfOther } = clientsOf(server, other)
    expect((await iotOfOther.send(new ListTopicRulesCommand({}))).rules).toEqual([])
    advance(334)
    expect((await list()).rules).toEqual([])
    await expect(list()).rejects.toMatchObject(throttled)
  })

  test('by address while nothing is authenticated; health and metrics are not counted', async () => {
    const { clock } = movedClock()
    const { url, iot } = await startServer({ options, dependencies: { clock } })
    const list = () => iot.send(new ListTopicRulesCommand({}))
    for (let count = 0; count < 3; count++) await list()
    await expect(list()).rejects.toMatchObject(throttled)
    expect((await fetch(`${url}/v1/health`)).status).toBe(200)
    expect((await fetch(`${url}/v1/metrics`)).status).toBe(200)
    expect((await fetch(`${url}/nowhere`)).headers.get('retry-after')).toBe('1')
  })
})
