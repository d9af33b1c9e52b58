import { randomUUID } from 'node:crypto'
import { createServer as createPlainServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import type { TlsMaterial } from '../../identity/certificates/tls-files.ts'
import { rawAnswer } from './http-answers.ts'

/**
 * The server of node:http or node:https below the routes: what a connection may cost before, beside
 * and instead of a request.
 *
 * Invariants:
 * - A connection is ended that does not shake hands, send its headers or finish its request in time.
 * - Whatever is answered has AWS's form and a request id, also what no route ever sees.
 */
export interface HttpLimits {
  /** From connecting, and of later requests from their first byte, until all headers are there. */
  readonly headersTimeoutMs: number
  /** The same until the body is there. */
  readonly requestTimeoutMs: number
  /** How long nothing may be read or written while a request is under way. */
  readonly stalledTimeoutMs: number
  /** How long a connection is kept without a request. */
  readonly idleTimeoutMs: number
  /** How often the first two are looked at: they may be overrun by so much. */
  readonly checkIntervalMs: number
  /** WebSockets are not counted: MQTT has limits of its own for them. */
  readonly connectionsMax: number
  /** Of these, from one address; loopback has none. */
  readonly connectionsPerAddressMax: number
  readonly headersMax: number
  /** 50 tags of full length, URL-encoded, fit into the headers. */
  readonly headerBytesMax: number
}

export const httpLimits: HttpLimits = Object.freeze({
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  // A replay of all dead letters may take minutes.
  stalledTimeoutMs: 600_000,
  idleTimeoutMs: 72_000,
  checkIntervalMs: 1_000,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 1_000,
  headersMax: 100,
  headerBytesMax: 65_536,
})

/**
 * Takes over a connection for good: it decides who may have it, answers the upgrade, and closes the
 * socket. A SluiceError that it throws is the answer instead.
 */
export type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Where MQTT over WebSocket is spoken. */
export const webSocketPath = '/mqtt'
const tlsVersionMin = 'TLSv1.2'
/** What a client gets to read why it was refused. */
const lingerMs = 1_000

export interface NodeServerOptions {
  /** Given: HTTPS only, in force from `useTlsMaterial` on. Client certificates may be asked for. */
  readonly tls: { readonly asksClients: boolean } | undefined
  readonly limits: HttpLimits
  /** Absent: nothing can be upgraded to, and the wish for it is passed over. */
  readonly onUpgrade: OnUpgrade | undefined
  readonly clock: Clock
}

export function createNodeServer(
  handler: RequestListener,
  { tls, limits, onUpgrade, clock }: NodeServerOptions,
): Server {
  const refuse = refuser(clock)
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    // Node would answer without the form that all answers have; the routes ask for it themselves.
    requireHostHeader: false,
    // Newer versions of Node ask; older ones take every wish for an upgrade to `upgrade`.
    shouldUpgradeCallback: isWebSocket,
  }
  const server: Server = tls
    ? createTlsServer({ ...options, ...tlsOptionsOf(tls, limits) }, handler)
    : createPlainServer(options, handler)
  server.keepAliveTimeout = limits.idleTimeoutMs
  // One more is let through, for the routes to see that there are too many.
  server.maxHeadersCount = limits.headersMax + 1
  server.setTimeout(limits.stalledTimeoutMs)
  answerUnreadable(server, refuse, tls !== undefined)
  // Whether a body may come is said when its sender is known: see http-app.ts.
  server.on('checkContinue', handler)
  server.on('checkExpectation', (_request: IncomingMessage, answer) => {
    answer.shouldKeepAlive = false
    refuse(answer.socket, invalidRequest('Expect takes 100-continue alone'))
  })
  server.on('connect', (_request, socket) => {
    refuse(socket, new SluiceError('MethodNotAllowedException', 'CONNECT is not a method here'))
  })
  if (onUpgrade) server.on('upgrade', upgrader(onUpgrade, refuse))
  return server
}

/** Connections that stand go on with what they began with. */
export function useTlsMaterial(server: Server, material: TlsMaterial): void {
  if (!('setSecureContext' in server)) return
  const tlsServer = server as ReturnType<typeof createTlsServer>
  tlsServer.setSecureContext({ ...material, minVersion: tlsVersionMin })
}

function tlsOptionsOf(
  { asksClients }: { readonly asksClients: boolean },
  { headersTimeoutMs }: HttpLimits,
): ServerOptions {
  return {
    minVersion: tlsVersionMin,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: headersTimeoutMs,
    // Asked for, not required: the API goes by signatures, and whoever speaks MQTT over WebSocket
    // looks at the certificate, and at whether it could be verified, himself.
    requestCert: asksClients,
    rejectUnauthorized: false,
  }
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

function upgrader(onUpgrade: OnUpgrade, refuse: Refuse): OnUpgrade {
  return (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const [path] = (request.url ?? '').split('?', 1)
    if (path !== webSocketPath || !isWebSocket(request)) {
      refuse(socket, invalidRequest(`an upgrade is to WebSocket, on ${webSocketPath}`))
      return
    }
    // From here on it is not HTTP that says how long silence may last.
    if ('setTimeout' in socket) (socket as Socket).setTimeout(0)
    try {
      onUpgrade(request, socket, head)
    } catch (thrown) {
      refuse(socket, thrown instanceof SluiceError ? thrown : failed(thrown))
    }
  }
}

/** What never becomes a request: bytes that are no HTTP, too many of them, or too slow. */
function answerUnreadable(server: Server, refuse: Refuse, isTls: boolean): void {
  const rawSocketOf = isTls ? followRawSockets(server) : () => undefined
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') {
      const problem = 'this port speaks TLS: use https'
      refuse(rawSocketOf(socket as Socket) ?? socket, invalidRequest(problem))
      return
    }
    const problem = problems[error.code ?? ''] ?? 'the request is not readable HTTP/1.1'
    refuse(socket, invalidRequest(problem))
  })
}

const problems: Readonly<Record<string, string>> = Object.freeze({
  ERR_HTTP_REQUEST_TIMEOUT: 'the request did not arrive in time',
  HPE_HEADER_OVERFLOW: 'the headers are larger than is taken',
})

/** Of the socket below TLS and of the one above it the same. */
export const peerOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`

/** Below TLS: whoever speaks plain HTTP could read nothing that comes through it. */
function followRawSockets(server: Server): (socket: Socket) => Socket | undefined {
  const sockets = new Map<string, Socket>()
  server.prependListener('connection', (socket: Socket) => {
    const key = peerOf(socket)
    sockets.set(key, socket)
    socket.once('close', () => {
      if (sockets.get(key) === socket) sockets.delete(key)
    })
  })
  return (socket) => sockets.get(peerOf(socket))
}

function failed(cause: unknown): SluiceError {
  return new SluiceError('InternalException', 'an internal error', { cause })
}

type Refuse = (socket: Duplex | null, error: SluiceError) => void

/**
 * Answers on the socket itself and ends it, whether or not the other side does. What still comes in
 * meanwhile is read: to close on it would take the answer away from whoever is still sending.
 */
function refuser(clock: Clock): Refuse {
  return (socket, error) => {
    if (!socket) return
    socket.on('error', () => socket.destroy())
    if (!socket.writable) {
      socket.destroy()
      return
    }
    const cancel = clock.after(lingerMs, () => socket.destroy())
    socket.once('close', cancel).once('end', () => socket.destroy())
    socket.end(rawAnswer(error, randomUUID()))
    socket.resume()
  }
}
