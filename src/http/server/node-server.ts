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
import type { RawSockets } from './raw-sockets.ts'

/**
 * The server of node:http or node:https below the routes. It bounds what a connection may cost
 * before, beside and instead of a request.
 *
 * Invariants:
 * - A connection is closed when its TLS handshake, its headers or its request take too long.
 * - Every answer has AWS's form and a request id, also an answer that no route has made.
 */
export interface HttpLimits {
  /** Time for all headers, from the connect or from the first byte of a later request. */
  readonly headersTimeoutMs: number
  /** The same, for headers and body. */
  readonly requestTimeoutMs: number
  /** How long a body may arrive without a byte: see read-bodies.ts. */
  readonly bodyStalledTimeoutMs: number
  /** How long a request under way may pass without a byte read or written. */
  readonly stalledTimeoutMs: number
  /** How long a connection without a request is kept open. */
  readonly idleTimeoutMs: number
  /** How often the first two are checked; a request may overrun them by as much. */
  readonly checkIntervalMs: number
  /** WebSockets do not count, because MQTT has limits of its own for them. */
  readonly connectionsMax: number
  /** The same for one address; loopback addresses have no such limit. */
  readonly connectionsPerAddressMax: number
  readonly headersMax: number
  /** Large enough for 50 tags of full length, URL-encoded. */
  readonly headerBytesMax: number
}

export const httpLimits: HttpLimits = Object.freeze({
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  bodyStalledTimeoutMs: 2_000,
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
 * Takes over a connection for good: decides whether the client may have it, answers the upgrade,
 * and closes the socket. A SluiceError that it throws becomes the answer.
 */
export type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** The path of MQTT over WebSocket. */
const webSocketPath = '/mqtt'
const tlsVersionMin = 'TLSv1.2'
/** How long a refused client has to read the answer before its socket is closed. */
const lingerMs = 1_000

interface NodeServerOptions {
  /** Undefined: plain HTTP. HTTPS has no certificate until `useTlsMaterial` gives it one. */
  readonly tls: { readonly asksClients: boolean } | undefined
  readonly limits: HttpLimits
  /** Undefined: requests for an upgrade are handled as plain requests. */
  readonly onUpgrade: OnUpgrade | undefined
  readonly rawSockets: RawSockets
  readonly clock: Clock
}

export function createNodeServer(
  handler: RequestListener,
  { tls, limits, onUpgrade, rawSockets, clock }: NodeServerOptions,
): Server {
  const refuse = refuser(clock)
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    // Node's own answer would not have the common form, so the routes check the header instead.
    requireHostHeader: false,
    // Newer versions of Node ask this; older ones emit `upgrade` for every request for an upgrade.
    shouldUpgradeCallback: isWebSocket,
  }
  const server: Server = tls
    ? createTlsServer({ ...options, ...tlsOptionsOf(tls, limits) }, handler)
    : createPlainServer(options, handler)
  server.keepAliveTimeout = limits.idleTimeoutMs
  // One header more than allowed comes through, so that the routes can see the excess.
  server.maxHeadersCount = limits.headersMax + 1
  server.setTimeout(limits.stalledTimeoutMs)
  answerUnreadable(server, refuse, rawSockets)
  // The answer 100 is sent once the sender is authenticated: see http-app.ts.
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

/** Open connections keep the certificate that they began with. */
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
    // A client certificate is requested but not required: the API relies on signatures, and MQTT
    // over WebSocket checks the certificate, and whether it was verified, by itself.
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
    // From here on MQTT decides how long a connection may be silent.
    if ('setTimeout' in socket) (socket as Socket).setTimeout(0)
    try {
      onUpgrade(request, socket, head)
    } catch (thrown) {
      refuse(socket, thrown instanceof SluiceError ? thrown : failed(thrown))
    }
  }
}

/** Answers what never becomes a request: bytes that are no HTTP, too many of them, or too slow. */
function answerUnreadable(server: Server, refuse: Refuse, rawSockets: RawSockets): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') {
      const problem = 'this port speaks TLS: use https'
      // Clients of plain HTTP cannot read an answer through TLS.
      refuse(rawSockets.rawOf(socket as Socket) ?? socket, invalidRequest(problem))
      return
    }
    const problem = problems[error.code ?? ''] ?? 'the request is not readable HTTP/1.1'
    refuse(socket, invalidRequest(problem))
  })
}

const problems: Readonly<Record<string, string>> = Object.freeze({
  ERR_HTTP_REQUEST_TIMEOUT: 'the request did not arrive in time',
  HPE_HEADER_OVERFLOW: 'the headers are too large',
})

function failed(cause: unknown): SluiceError {
  return new SluiceError('InternalException', 'an internal error', { cause })
}

type Refuse = (socket: Duplex | null, error: SluiceError) => void

/**
 * Answers on the socket itself and closes it, whether or not the client does. Bytes that still
 * arrive are read meanwhile, because closing on unread bytes resets the connection and loses the
 * answer.
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
