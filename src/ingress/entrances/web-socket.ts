import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import type { ServerOptions } from 'ws'
import type { Clock } from '../../base/clock.ts'
import type { TrustedProxies } from '../../base/trusted-proxies.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { AccessKeys } from '../../identity/access-keys/access-keys.ts'
import {
  isPresigned,
  mqttPath,
  verifyPresignedUrl,
} from '../../identity/access-keys/presigned-url.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { RequestOrigin } from '../../base/origin-guard.ts'
import { refusalCodes } from '../../sigv4/refusal-codes.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { Peer } from '../../identity/policies/access.ts'
import { normalizeAddress } from '../broker/connection.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import type { GateSocket } from '../gate/gate.ts'
import type { HeldBytes } from '../gate/held-bytes.ts'
import { prepareSocket } from './listener.ts'
import { createRefusals } from './refusals.ts'
import type { Refusal } from './refusals.ts'
import { clientCertificateOf } from './tls-handshake.ts'
import { createWebSocketStream } from './web-socket-stream.ts'

/**
 * MQTT over WebSocket (MQTT 3.1.1, 6): takes over upgrade requests from the HTTP server, and turns
 * each into a stream.
 *
 * A request has to pass these checks: the limits of connections; the path and the subprotocol; the
 * signature of its URL, or without one the origin of the page that sent it; and the client
 * certificate, if one was shown. `Access` then authenticates the client by its CONNECT, as on every
 * transport.
 */
interface WebSocketEntrance {
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Accepts no more requests. */
  close(): void
}

/** Decides who may open a WebSocket. */
export interface WebSocketGuard {
  /** The keys that may sign the URL, for this region. */
  readonly accessKeys: Pick<AccessKeys, 'find'>
  readonly region: string
  /**
   * Nobody is authenticated, so a signature is not looked at: SDKs that sign can then connect with
   * any key.
   */
  readonly ignoresSignatures: boolean
  /** @throws SluiceError AccessDeniedException: a page of another origin sent the request */
  guardOrigin(origin: RequestOrigin): void
}

interface WebSocketDependencies {
  readonly guard: WebSocketGuard
  readonly limits: ConnectionLimits
  readonly heldBytes: HeldBytes
  readonly proxies: TrustedProxies
  readonly clock: Clock
  readonly log: LimitedLog
  readonly metrics: Metrics
}

interface WebSocketOptions {
  readonly payloadBytesMax: number
  readonly closeTimeoutMs: number
}

/** The registered subprotocol, and the one that older clients use. */
const subprotocols = ['mqtt', 'mqttv3.1']
/** Bytes that a frame may hold beside the payload of a PUBLISH: its topic, and other packets. */
const packetOverheadBytes = 128 * 1024
/** The number of pieces in which one frame may arrive. */
const piecesMax = 4_096
/** Time in which a refused client can read the answer. */
const lingerMs = 1_000

export function createWebSocketEntrance(
  dependencies: WebSocketDependencies,
  options: WebSocketOptions,
  accept: (socket: GateSocket, peer: Peer) => void,
): WebSocketEntrance {
  const { limits, heldBytes, proxies, clock } = dependencies
  const refuse = createRefusals(dependencies)
  let isClosed = false

  function reject(rejected: Rejection, request: IncomingMessage, socket: Duplex): void {
    const { reason, error, advice } = rejected
    const detail = advice === undefined ? error.message : `${error.message} (${advice})`
    refuse(reason, { sourceIp: addressOf(request, proxies), detail })
    answer(socket, clock, error)
  }

  const server = createServer(options)
  // The request violates RFC 6455; the library leaves the answer to this listener.
  server.on('wsClientError', ({ message }, socket, request) => {
    reject(rejection('upgrade_refused', 'InvalidRequestException', message), request, socket)
  })

  function open(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const peer = identify(request, socket, dependencies)
    if ('reason' in peer) {
      reject(peer, request, socket)
      return
    }
    prepareSocket(socket)
    server.handleUpgrade(request, socket, head, (webSocket) => {
      const fault = (reason: Refusal, detail: string) =>
        refuse(reason, { sourceIp: peer.sourceIp, detail })
      accept(createWebSocketStream({ webSocket, socket, heldBytes, fault }), peer)
    })
  }

  return {
    upgrade(request, socket, head) {
      // The sockets of the HTTP server are always of this class, although its type is wider.
      if (!(socket instanceof Socket)) {
        socket.destroy()
        return
      }
      socket.on('error', () => socket.destroy())
      const slot = isClosed ? 'stopping' : limits.take(addressOf(request, proxies))
      if (typeof slot === 'string') {
        const text = 'There are too many connections, or the broker is stopping: try again later.'
        reject(rejection(slot, 'ServiceUnavailableException', text), request, socket)
        return
      }
      socket.once('close', slot.release)
      open(request, socket, head)
    },
    close() {
      isClosed = true
    },
  }
}

function createServer({ payloadBytesMax, closeTimeoutMs }: WebSocketOptions): WebSocketServer {
  const settings: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: payloadBytesMax + packetOverheadBytes,
    maxFragments: piecesMax,
    maxBufferedChunks: piecesMax,
    // The library has this option, but its types do not.
    closeTimeout: closeTimeoutMs,
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  }
  return new WebSocketServer(settings)
}

interface Rejection {
  readonly reason: Refusal
  readonly error: SluiceError
  /** For the log alone. */
  readonly advice?: string | undefined
}

const rejection = (reason: Refusal, code: ErrorCode, text: string): Rejection => ({
  reason,
  error: new SluiceError(code, text),
})

/** Identifies the sender of a request before any byte of MQTT is read. */
function identify(
  request: IncomingMessage,
  socket: Socket,
  dependencies: WebSocketDependencies,
): Peer | Rejection {
  const { url = '', headers } = request
  if (url.split('?', 1)[0] !== mqttPath) {
    return rejection('upgrade_refused', 'ResourceNotFoundException', `MQTT is at ${mqttPath}.`)
  }
  // [MQTT-6.0.0-3]
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim())
  if (!subprotocols.some((name) => offered?.includes(name))) {
    const text = 'The client offers no subprotocol of MQTT: Sec-WebSocket-Protocol: mqtt.'
    return rejection('upgrade_refused', 'InvalidRequestException', text)
  }
  const signer =
    isPresigned(url) && !dependencies.guard.ignoresSignatures
      ? signerOf(request, dependencies)
      : guardOrigin(request, dependencies)
  if (signer !== undefined && 'reason' in signer) return signer
  const shown =
    socket instanceof TLSSocket ? clientCertificateOf(socket) : { certificate: undefined }
  if ('fault' in shown) return rejection('client_certificate', 'AccessDeniedException', shown.fault)
  return {
    transport: 'websocket',
    sourceIp: addressOf(request, dependencies.proxies),
    certificate: shown.certificate,
    ...signer,
  }
}

function signerOf(
  { method = '', url = '', headers }: IncomingMessage,
  { guard, clock }: WebSocketDependencies,
): { readonly accessKeyId: string } | Rejection {
  const verified = verifyPresignedUrl(
    { method, target: url, headers },
    {
      regions: [guard.region],
      nowMs: clock.wallMs(),
      findKey: (accessKeyId) => guard.accessKeys.find(accessKeyId),
    },
  )
  if (verified.isValid) return { accessKeyId: verified.accessKeyId }
  return {
    ...rejection('signature_refused', refusalCodes[verified.reason], verified.message),
    advice: verified.reason === 'unknownKey' ? 'make a key with `sluice keys create`' : undefined,
  }
}

/**
 * Called only for unsigned requests: a page cannot forge its origin, and has no key to sign with.
 */
function guardOrigin(
  { headers: { host, origin } }: IncomingMessage,
  { guard }: WebSocketDependencies,
): Rejection | undefined {
  try {
    guard.guardOrigin({ host, origin })
    return undefined
  } catch (thrown) {
    return rejection('origin_refused', 'AccessDeniedException', messageOf(thrown))
  }
}

const addressOf = (
  { socket, headers }: IncomingMessage,
  proxies: TrustedProxies,
): string | undefined =>
  normalizeAddress(proxies.clientOf(socket.remoteAddress, headers['x-forwarded-for']))

/** Answers a refused request in the form of the HTTP API's errors, and ends its connection. */
function answer(socket: Duplex, clock: Clock, { name, message, status }: SluiceError): void {
  const body = JSON.stringify({ message, code: name })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-amzn-errortype: ${name}`,
    `x-amzn-requestid: ${randomUUID()}`,
    'sec-websocket-version: 13',
    'connection: close',
  ]
  const cancel = clock.after(lingerMs, () => socket.destroy())
  socket.once('close', cancel).once('end', () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Further bytes are read, because closing with unread bytes could discard the answer.
  socket.resume()
}
