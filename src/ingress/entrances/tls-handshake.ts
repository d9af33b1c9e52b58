import type { Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import { messageOf, shorten } from '../../base/errors.ts'
import { identityOf } from '../../identity/policies/principal.ts'
import type { CertificateIdentity } from '../../identity/policies/principal.ts'
import type { TlsMaterial } from '../../identity/certificates/tls-files.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import { createRefusals } from './refusals.ts'

/**
 * Makes TLS connections of TCP connections that a listener has accepted.
 *
 * Invariants:
 * - A connection has `timeoutMs` for its handshake, and is known here until then: `close` ends it.
 * - Where there is a CA of clients each is asked for a certificate. One that cannot be verified ends
 *   the connection before a byte of MQTT is read; without any the client has said nothing of itself.
 * - Nothing that a client sends throws out of here.
 * - Another certificate or CA holds for the handshakes that begin after it, resumed sessions too: each
 *   context has keys of its own for its tickets.
 */
export interface TlsHandshake {
  accept(socket: Socket, sourceIp: string | undefined): void
  /** What is shown and trusted from now on. Connections that stand keep what they began with. */
  use(material: TlsMaterial): void
  /** Ends those that are not done. */
  close(): void
}

interface TlsHandshakeDependencies {
  readonly clock: Clock
  readonly log: LimitedLog
  readonly metrics: Metrics
}

interface SecureConnection {
  readonly socket: TLSSocket
  readonly sourceIp: string | undefined
  readonly certificate: CertificateIdentity | undefined
  /** What is left of `timeoutMs`. */
  readonly leftMs: number
}

const settings = Object.freeze({
  minVersion: 'TLSv1.2',
  /** A resumed session stands for its certificate without showing it: not for long. */
  sessionTimeout: 300,
} as const)
/** AWS IoT's own name, and the registered one. A client that asks for others alone is refused. */
const applicationProtocols = ['x-amzn-mqtt-ca', 'mqtt']

export function createTlsHandshake(
  dependencies: TlsHandshakeDependencies,
  options: { readonly material: TlsMaterial; readonly timeoutMs: number },
  accept: (connection: SecureConnection) => void,
): TlsHandshake {
  const { clock } = dependencies
  const { material, timeoutMs } = options
  const refuse = createRefusals(dependencies)
  const underway = createUnderway(({ sourceIp }) => {
    refuse('tls_handshake', { sourceIp, detail: 'the client closed the connection' })
  })
  const server = createServer({
    ...material,
    ...settings,
    ALPNProtocols: applicationProtocols,
    requestCert: material.ca !== undefined,
    // Not by Node, which would also refuse who shows none.
    rejectUnauthorized: false,
    // Ours comes first: it runs on the clock.
    handshakeTimeout: timeoutMs * 2,
  })

  server.on('secureConnection', (socket) => {
    const handshake = underway.take(socket)
    const shown = clientCertificateOf(socket)
    // Unknown is what has been cut off, or is gone.
    if (handshake === undefined || 'fault' in shown) {
      const { sourceIp } = handshake ?? {}
      if ('fault' in shown) refuse('client_certificate', { sourceIp, detail: shown.fault })
      socket.on('error', () => {}).destroy()
      return
    }
    const leftMs = Math.max(0, handshake.endsAtMs - clock.monotonicMs())
    accept({ ...shown, socket, sourceIp: handshake.sourceIp, leftMs })
  })
  server.on('tlsClientError', (error, socket) => {
    // Who was cut off here is told of by the one that cut him off.
    const handshake = underway.take(socket)
    if (handshake === undefined) return
    refuse('tls_handshake', { sourceIp: handshake.sourceIp, detail: describe(error) })
    socket.destroy()
  })

  return {
    accept(socket, sourceIp) {
      // Gone already: it has no address to be known by.
      if (sourceIp === undefined) {
        socket.destroy()
        return
      }
      const timedOut = () => {
        underway.take(socket)
        refuse('tls_handshake', { sourceIp, detail: `it was not done in ${timeoutMs} ms` })
        socket.destroy()
      }
      underway.add(socket, {
        socket,
        sourceIp,
        endsAtMs: clock.monotonicMs() + timeoutMs,
        cancel: clock.after(timeoutMs, timedOut),
      })
      server.emit('connection', socket)
    },
    use(next) {
      server.setSecureContext({ ...next, ...settings })
    },
    close() {
      for (const { socket } of underway.takeAll()) socket.destroy()
    },
  }
}

interface Handshake {
  readonly socket: Socket
  readonly sourceIp: string | undefined
  readonly endsAtMs: number
  readonly cancel: () => void
}

/** The handshakes that are not done, by the connection: TLS makes another object of its socket. */
function createUnderway(gone: (handshake: Handshake) => void) {
  const handshakes = new Map<string, Handshake>()
  return {
    add(socket: Socket, handshake: Handshake) {
      const key = keyOf(socket)
      handshakes.set(key, handshake)
      socket.once('close', () => {
        if (handshakes.get(key) !== handshake) return
        handshakes.delete(key)
        handshake.cancel()
        gone(handshake)
      })
    },
    take(socket: Socket): Handshake | undefined {
      const key = keyOf(socket)
      const handshake = handshakes.get(key)
      handshakes.delete(key)
      handshake?.cancel()
      return handshake
    },
    takeAll(): readonly Handshake[] {
      const all = [...handshakes.values()]
      handshakes.clear()
      for (const { cancel } of all) cancel()
      return all
    },
  }
}

const keyOf = ({ remoteAddress, remotePort, localAddress }: Socket) =>
  `${remoteAddress} ${remotePort} ${localAddress}`

/** Who the other side of a TLS connection has proved to be; `fault`: it has not what it shows. */
export function clientCertificateOf(
  socket: TLSSocket,
): { readonly certificate: CertificateIdentity | undefined } | { readonly fault: string } {
  try {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) return { certificate: undefined }
    if (!socket.authorized) return { fault: String(socket.authorizationError) }
    return { certificate: identityOf(certificate) }
  } catch (thrown) {
    return { fault: messageOf(thrown) }
  }
}

const detailCharactersMax = 200

/** OpenSSL's texts begin and end with addresses and files; what it is about is their `reason`. */
function describe(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : ''
  const text = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
  return shorten(`${code}${text}`, detailCharactersMax)
}
