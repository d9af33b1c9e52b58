import { once } from 'node:events'
import { createServer as createSecureServer } from 'node:https'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createHttpHosts } from '../../../src/aws/http/http-hosts.ts'
import { createHttpPoster } from '../../../src/aws/http/http-poster.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createCertificateMaker } from '../../../src/identity/certificates/certificate-maker.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

/** The client that calls endpoints which people have chosen. */

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function openEndpoint(
  answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void,
) {
  const lines: string[] = []
  const server = createServer((request, response) => {
    lines.push(`${request.method} ${request.url}`)
    void buffer(request).then((body) => answer(request, response, body))
  })
  return { port: await listen(server), lines }
}

function openPoster(
  { lookup, isLab = true, clock = systemClock, hosts = [] as string[] } = {} as {
    lookup?: LookupFunction
    isLab?: boolean
    clock?: typeof systemClock
    hosts?: string[]
  },
) {
  const poster = createHttpPoster({ clock }, createHttpHosts({ hosts, isLab, lookup }).guard)
  onTestFinished(() => poster.close())
  return (url: string, headers: readonly (readonly [string, string])[] = []) =>
    poster.post({
      url,
      headers,
      body: Buffer.from('{"t":1}'),
      signal: new AbortController().signal,
    })
}

describe('a request', () => {
  test('has its headers, a body with a length, and the host of the URL', async () => {
    const seen: unknown[] = []
    const { port } = await openEndpoint((request, response, body) => {
      const { host, 'content-length': length } = request.headers
      seen.push({ host, length, body: body.toString(), x: request.rawHeaders.includes('X-One') })
      seen.push(request.headersDistinct['x-two'])
      response.writeHead(201, 'Made', { 'x-id': '7' }).end('ok')
    })
    const post = openPoster()
    const url = `http://127.0.0.1:${port}/hook?a=b`
    const answer = await post(url, [
      ['X-One', '1'],
      ['x-two', 'a'],
      ['X-Two', 'b'],
    ])
    expect(seen).toEqual([
      { host: `127.0.0.1:${port}`, length: '7', body: '{"t":1}', x: true },
      ['a', 'b'],
    ])
    expect([answer.status, answer.reason, answer.header('x-id'), answer.body.toString()]).toEqual([
      201,
      'Made',
      '7',
      'ok',
    ])
  })

  test('follows no redirect', async () => {
    const { port, lines } = await openEndpoint((_request, response) =>
      response.writeHead(307, { location: '/elsewhere' }).end(),
    )
    const answer = await openPoster()(`http://127.0.0.1:${port}/hook`)
    expect([answer.status, answer.header('location')]).toEqual([307, '/elsewhere'])
    expect(lines).toEqual(['POST /hook'])
  })

  test('reads no more of an answer than 16,384 bytes', async () => {
    const { port } = await openEndpoint((_request, response) => {
      // An answer without an end.
      response.writeHead(200)
      const write = (): void => {
        while (response.write(Buffer.alloc(65_536, 'x')));
        response.once('drain', write)
      }
      write()
    })
    const answer = await openPoster()(`http://127.0.0.1:${port}/`)
    expect([answer.status, answer.body.length]).toEqual([200, 16_384])
  })

  test('ends after a time, however slowly the answer goes on', async () => {
    const clock = createManualClock()
    const { port } = await openEndpoint((_request, response) => {
      response.writeHead(200)
      response.write('.')
      clock.advance(15_000)
    })
    await expect(openPoster({ clock })(`http://127.0.0.1:${port}/`)).rejects.toThrow(
      /aborted|no whole answer/,
    )
    expect(clock.timerCount).toBe(0)
  })
})

/** A name that has a public address, and one of this machine. */
const halfPublic: LookupFunction = (_host, _options, callback) =>
  callback(null, [
    { address: '93.184.215.14', family: 4 },
    { address: '::ffff:127.0.0.1', family: 6 },
  ])

describe('an address that only this machine can reach', () => {
  test.each(['127.0.0.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '0177.0.0.1', '2130706433'])(
    'is refused: %s',
    async (host) => {
      const { port, lines } = await openEndpoint((_request, response) => response.end())
      await expect(openPoster({ isLab: false })(`http://${host}:${port}/`)).rejects.toMatchObject({
        code: 'EndpointRefused',
      })
      expect(lines).toEqual([])
    },
  )

  test('is refused when a name has it, also beside a public one', async () => {
    const { port, lines } = await openEndpoint((_request, response) => response.end())
    const post = openPoster({ isLab: false, lookup: halfPublic })
    await expect(post(`http://rebound.example:${port}/`)).rejects.toMatchObject({
      code: 'EndpointRefused',
    })
    expect(lines).toEqual([])
  })

  test('is refused by a second answer of DNS as by the first', async () => {
    const { port, lines } = await openEndpoint((_request, response) => response.end())
    let asked = 0
    // The name is listed first, and its address changes: each connection asks, and is checked.
    const lookup: LookupFunction = (_host, _options, callback) => {
      asked += 1
      callback(null, [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }])
    }
    const post = openPoster({ isLab: false, lookup, hosts: ['inside.example'] })
    const url = `http://inside.example:${port}/`
    expect((await post(url)).status).toBe(200)
    // The checked connection is kept, and no second answer moves it.
    expect((await post(url)).status).toBe(200)
    expect([asked, lines.length]).toEqual([1, 2])
    const other = await openEndpoint((_request, response) => response.end())
    await expect(post(`http://inside.example:${other.port}/`)).rejects.toMatchObject({
      code: 'EndpointRefused',
    })
    expect(other.lines).toEqual([])
  })
})

test('TLS needs a certificate that somebody who is trusted has signed', async () => {
  const maker = await createCertificateMaker(Date.now())
  const { keyPem: key, certificatePem: cert } = await maker.makeServer(
    await maker.makeAuthority(),
    ['localhost'],
  )
  const server = createSecureServer({ key, cert }, (_request, response) => response.end())
  const port = await listen(server)
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  onTestFinished(() => {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
  })
  await expect(openPoster()(`https://localhost:${port}/`)).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  })
})
