import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { HttpServerOptions } from '../../src/http/http-server.ts'
import type { Health } from '../../src/http/sluice/status-routes.ts'
import { startServer } from './http-fixtures.ts'

/** A GET with exactly these headers, which fetch would not send. */
async function getWith(
  port: number,
  headers: Record<string, string>,
): Promise<{ status: number | undefined; body: string; errorType: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path: '/v1/health', headers }, (answer) => {
      const { statusCode: status } = answer
      const errorType = answer.headers['x-amzn-errortype']
      text(answer).then((body) => resolve({ status, body, errorType }), reject)
    })
    sent.on('error', reject).end()
  })
}

describe('a request without a route', () => {
  test.each([
    ['GET', '/absent', 404, 'ResourceNotFoundException'],
    ['GET', '/rules/a/b/c', 404, 'ResourceNotFoundException'],
    ['POST', '/nowhere', 404, 'ResourceNotFoundException'],
    ['PUT', '/rules/a', 405, 'MethodNotAllowedException'],
    ['DELETE', '/rules', 405, 'MethodNotAllowedException'],
    ['GET', '/rules/a/enable', 405, 'MethodNotAllowedException'],
    ['OPTIONS', '/v1/health', 405, 'MethodNotAllowedException'],
    ['GET', '/v1/nowhere', 404, 'ResourceNotFoundException'],
    ['GET', '/topics', 404, 'ResourceNotFoundException'],
    ['PUT', '/topics/a/b', 405, 'MethodNotAllowedException'],
    ['POST', '/retainedMessage', 405, 'MethodNotAllowedException'],
    ['PUT', '/connections/c', 405, 'MethodNotAllowedException'],
    ['DELETE', '/v1/evaluate', 405, 'MethodNotAllowedException'],
    ['POST', '/v1/openapi.json', 405, 'MethodNotAllowedException'],
    ['PUT', '/v1/docs/static/swagger-ui.css', 405, 'MethodNotAllowedException'],
    ['PROPFIND', '/rules', 405, 'MethodNotAllowedException'],
  ])('%s %s: %i %s', async (method, path, status, code) => {
    const { url } = await startServer()
    const body = method === 'POST' || method === 'PUT' ? 'anything' : null
    const answer = await fetch(`${url}${path}`, { method, body })
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([status, code])
    expect(answer.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
    expect(await answer.json()).toEqual({ message: expect.any(String) as string })
    const allowed = answer.headers.get('allow') ?? ''
    expect(allowed).toMatch(status === 405 ? /^[A-Z, ]+$/ : /^$/)
  })

  test.each([
    ['/rules/a/enable', 405, 'MethodNotAllowedException'],
    ['/nowhere', 404, 'ResourceNotFoundException'],
  ])('HEAD %s: %i %s, without a body', async (path, status, code) => {
    const { url } = await startServer()
    const answer = await fetch(`${url}${path}`, { method: 'HEAD' })
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([status, code])
    expect(answer.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
    expect(await answer.text()).toBe('')
  })

  test('bytes that are no HTTP are answered in the same form', async () => {
    const { port } = await startServer()
    const socket = connect(port, '127.0.0.1')
    socket.end('NONSENSE\r\n\r\n')
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('x-amzn-ErrorType: InvalidRequestException')
    expect(answer).toMatch(/\{"message":"[^"]+"\}$/)
  })
})

describe('without authentication', () => {
  const table: [Record<string, string>, Partial<HttpServerOptions>, number][] = [
    [{ host: '127.0.0.1:8080' }, {}, 200],
    [{ host: '127.0.0.1' }, {}, 200],
    [{ host: '192.0.2.7:80' }, {}, 200],
    [{ host: '[::1]:8080' }, {}, 200],
    [{ host: 'localhost:9' }, {}, 200],
    [{ host: 'LocalHost' }, {}, 200],
    [{ host: 'sluice.example:8080' }, {}, 403],
    [{ host: 'localhost.evil.example' }, {}, 403],
    [{ host: '127.0.0.1.evil.example' }, {}, 403],
    [{ host: 'user@127.0.0.1' }, {}, 403],
    [{ host: '0x7f.1' }, {}, 403],
    [{ host: '[evil]' }, {}, 403],
    [{ host: 'sluice.example:8080' }, { insecure: true }, 200],
    [{ host: '127.0.0.1:8080', origin: 'http://127.0.0.1:8080' }, {}, 200],
    [{ host: '127.0.0.1:8080', origin: 'https://127.0.0.1:8080' }, {}, 200],
    [{ host: '127.0.0.1:8080', origin: 'http://127.0.0.1:8081' }, {}, 403],
    [{ host: '127.0.0.1:8080', origin: 'http://evil.example' }, {}, 403],
    [{ host: '127.0.0.1:8080', origin: 'null' }, {}, 403],
    [{ host: '127.0.0.1:8080', origin: 'http://evil.example' }, { insecure: true }, 403],
    [{ host: 'a.example', origin: 'http://a.example' }, { insecure: true }, 200],
  ]
  test.each(table)('%j with %j: %i', async (headers, options, status) => {
    const { port } = await startServer({ options })
    const answer = await getWith(port, headers)
    const errorType = status === 403 ? 'AccessDeniedException' : undefined
    expect(answer).toMatchObject({ status, errorType })
  })

  test('the configured host name is accepted as well', async () => {
    const { port } = await startServer({ options: { host: 'localhost' } })
    expect((await getWith(port, { host: 'localhost:1' })).status).toBe(200)
  })
})

describe('GET /v1/health', () => {
  test.each<[Health['status'], number]>([
    ['ok', 200],
    ['degraded', 200],
    ['starting', 503],
    ['stopping', 503],
  ])('%s: %i', async (status, code) => {
    const { url } = await startServer({ dependencies: { health: () => ({ status }) } })
    const answer = await fetch(`${url}/v1/health`)
    expect([answer.status, await answer.json()]).toEqual([code, { status }])
  })
})

describe('GET /v1/metrics', () => {
  test('counts requests by route pattern, whatever path is asked for', async () => {
    const { url } = await startServer()
    const paths = ['/rules', '/rules/one', '/rules/two', '/nowhere/1', '/nowhere/2']
    for (const path of paths) await fetch(`${url}${path}`)
    const answer = await fetch(`${url}/v1/metrics`)
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    const lines = (await answer.text())
      .split('\n')
      .filter((line) => line.startsWith('sluice_http_requests_total{'))
    expect(lines.toSorted()).toEqual([
      'sluice_http_requests_total{route="GET /rules",status="200"} 1',
      'sluice_http_requests_total{route="GET /rules/:ruleName",status="401"} 2',
      'sluice_http_requests_total{route="unknown",status="404"} 2',
    ])
  })
})

describe('a fault of the engine', () => {
  test('is logged with its cause and hidden from the caller', async () => {
    const { url, serverLog } = await startServer({
      dependencies: {
        health: () => {
          throw new TypeError('secret of the house')
        },
      },
    })
    const answer = await fetch(`${url}/v1/health`)
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([
      500,
      'InternalException',
    ])
    expect(await answer.text()).not.toContain('secret')
    expect(serverLog).toEqual([
      expect.objectContaining({
        level: 'error',
        requestId: answer.headers.get('x-amzn-requestid'),
        err: expect.objectContaining({ message: 'secret of the house' }) as object,
      }),
    ])
  })
})

describe('listen', () => {
  test('says in one line that the port is taken', async () => {
    const { port } = await startServer()
    await expect(startServer({ options: { port } })).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringMatching(
        new RegExp(
          `^the HTTP API cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use [^\\n]*SLUICE_HTTP_PORT`,
        ),
      ) as string,
    })
  })
})

describe('closing', () => {
  test('does not wait for a body that never ends', async () => {
    const { port, close } = await startServer({ options: { closeTimeoutMs: 50 } })
    const socket = connect(port, '127.0.0.1')
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined) // the server's end of it
    await new Promise<void>((resolve) => socket.once('connect', resolve))
    socket.write('POST /v1/evaluate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{')
    // Another request is answered, so the first bytes of this one have arrived.
    const health = await fetch(`http://127.0.0.1:${port}/v1/health`)
    expect(health.status).toBe(200)
    await close()
    await ended
    expect(socket.destroyed).toBe(true)
  })
})
