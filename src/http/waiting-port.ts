import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TrustedProxies } from '../base/trusted-proxies.ts'
import { SluiceError } from '../base/errors.ts'
import { errorTypeHeader, requestIdHeader } from './server/http-answers.ts'
import { createHttpListener } from './server/http-listener.ts'
import type { HttpListener, HttpListenerDependencies } from './server/http-listener.ts'
import { httpLimits } from './server/node-server.ts'
import type { HttpLimits } from './server/node-server.ts'
import type { Health } from './sluice/status-routes.ts'

/** The HTTP port of an engine that cannot build its API yet. */
export interface WaitingPort {
  readonly port: number
  /** For the server that answers from then on. Whoever takes it over stops it. */
  readonly listener: HttpListener
  /** Closes the port unless another server has taken it over and stopped it. */
  close(): Promise<void>
}

interface WaitingPortOptions {
  readonly host: string
  readonly port: number
  readonly limits?: Partial<HttpLimits>
}

/**
 * Listens, and says that the process lives and what it waits for. Everything else is refused, so
 * that a supervisor does not restart an engine that waits for other machines.
 *
 * @param health what `/v1/health` shows meanwhile
 * @throws SluiceError IdentityFileInvalid, PortUnavailable (rejects)
 */
export async function openWaitingPort(
  dependencies: HttpListenerDependencies & { readonly proxies: TrustedProxies },
  { host, port, limits = {} }: WaitingPortOptions,
  health: Health & { readonly message: string },
): Promise<WaitingPort> {
  const refusal = new SluiceError('ServiceUnavailableException', health.message)
  const listener = createHttpListener(dependencies, {
    host,
    port,
    limits: { ...httpLimits, ...limits },
  })
  const server = listener.serverFactory(answerer(health, refusal), () => {
    throw refusal
  })
  const bound = await listener.listen(async (address) => {
    server.listen(address)
    await once(server, 'listening')
  })
  return {
    port: bound,
    listener,
    async close() {
      const stopped = listener.stop()
      server.close()
      listener.closeAllConnections()
      await stopped
    },
  }
}

function answerer(health: Health, refusal: SluiceError) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const [path] = (request.url ?? '').split('?', 1)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    response.setHeader(requestIdHeader, randomUUID())
    if (isRead && path === '/v1/live') return answer(response, 200, { status: 'live' })
    if (isRead && path === '/v1/health') return answer(response, 503, health)
    response.setHeader(errorTypeHeader, refusal.code)
    // Its body is not read.
    response.setHeader('connection', 'close')
    answer(response, refusal.status, { message: refusal.message })
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  })
  response.end(JSON.stringify(body))
}
