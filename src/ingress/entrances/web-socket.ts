import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import type { ServerOptions } from 'ws'
import type { Clock } from '../../base/clock.ts'
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
 * MQTT over WebSocket (MQTT 3.1.1, 6): takes over what asks the HTTP server for it, and makes it a
 * stream like any other.
 *
 * A request goes through these, each of which may refuse it: the limits of connections; the signature of
 * its URL, where there is one; else the origin of the page that it is of; a client certificate that
 * was shown; and the protocol. Who is behind it, `Access` decides by the CONNECT, as for everyone.
 */
interface WebSocketEntrance {
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Takes no more. */
  close(): void
}

/** Who may open a WebSocket. */
export interface WebSocketGuard {
  /** Those that may sign its URL, for this region. */
  readonly accessKeys: Pick<AccessKeys, 'find'>
  readonly region: string
  /** @throws SluiceError AccessDeniedException: it is of a page that is not ours */
  guardOrigin(origin: RequestOrigin): void
}

interface WebSocketDependencies {
  readonly guard: WebSocketGuard
  readonly limits: ConnectionLimits
  readonly heldBytes: HeldBytes
  readonly clock: Clock
  readonly log: LimitedLog
  readonly metrics: Metrics
}

interface WebSocketOptions {
  readonly payloadBytesMax: number
  readonly closeTimeoutMs: number
}

/** The registered name, and the one of clients from before it was. */
const subprotocols = ['mqtt', 'mqttv3.1']
/** What a frame may hold beside the payload of a PUBLISH: its topic, and other packets. */
const packetOverheadBytes = 128 * 1024
/** In which one frame may come. */
const piecesMax = 4_096
/** What a client gets to read why it was refused. */
const lingerMs = 1_000

export function createWebSocketEntrance(
  dependencies: WebSocketDependencies,
  options: WebSocketOptions,
  accept: (socket: GateSocket, peer: Peer) => void,
): WebSocketEntrance {
  const { limits, heldBytes, clock } = dependencies
  const refuse = createRefusals(dependencies)
  let isClosed = false

  function reject({ reason, error }: Rejection, request: IncomingMessage, socket: Duplex): void {
    refuse(reason, { sourceIp: addressOf(request), detail: error.message })
    answer(socket, clock, error)
  }

  const server = createServer(options)
  // A request that is not as RFC 6455 has it; the library leaves the answer to whoever listens.
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
      // The HTTP server's are of this kind; its type leaves room for others.
      if (!(socket instanceof Socket)) {
        socket.destroy()
        return
      }
      socket.on('error', () => socket.destroy())
      const slot = isClosed ? 'stopping' : limits.take(addressOf(request))
      if (typeof slot === 'string') {
        const text = 'There are too many connections, or the broker is stopping: come again later.'
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
    // The library has it, its types have not.
    closeTimeout: closeTimeoutMs,
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  }
  return new WebSocketServer(settings)
}

interface Rejection {
  readonly reason: Refusal
  readonly error: SluiceError
}

const rejection = (reason: Refusal, code: ErrorCode, text: string): Rejection => ({
  reason,
  error: new SluiceError(code, text),
})

/** What can be known of who asks, before a byte of MQTT. */
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
  const signer = isPresigned(url)
    ? signerOf(request, dependencies)
    : guardOrigin(request, dependencies)
  if (signer !== undefined && 'reason' in signer) return signer
  const shown =
    socket instanceof TLSSocket ? clientCertificateOf(socket) : { certificate: undefined }
  if ('fault' in shown) return rejection('client_certificate', 'AccessDeniedException', shown.fault)
  return {
    transport: 'websocket',
    sourceIp: addressOf(request),
    certificate: shown.certificate,
    ...signer,
  }
}

function signerOf(
  { method = '', url = '', headers }: IncomingMessage,
  { guard, clock }: WebSocketDependencies,
): { readonly accessKeyId: string } | Rejection {
  const verified = verifyPresignedUrl(
    { method, target: url, host: headers.host },
    {
      regions: [guard.region],
      nowMs: clock.wallMs(),
      findKey: (accessKeyId) => guard.accessKeys.find(accessKeyId),
    },
  )
  if (verified.isValid) return { accessKeyId: verified.accessKeyId }
  return rejection('signature_refused', refusalCodes[verified.reason], verified.message)
}

/** A page can neither choose its origin nor sign, so that what is signed needs no such help. */
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

const addressOf = ({ socket }: IncomingMessage): string | undefined =>
  normalizeAddress(socket.remoteAddress)

/** Answers a request that is not upgraded as the HTTP API answers errors, and ends its connection. */
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
  // What still comes is read: to close on it could take the answer away from its reader.
  socket.resume()
}
