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
 * Performs the TLS handshakes of TCP connections that a listener has accepted.
 *
 * Invariants:
 * - A handshake has `timeoutMs`; `close` ends those that are under way.
 * - With a CA of clients, each client is asked for a certificate. A certificate that cannot be
 *   verified ends the connection before a byte of MQTT is read. A client may also show none.
 * - Nothing that a client sends makes this module throw.
 * - A new certificate or CA applies to handshakes that begin after it, also to resumed sessions:
 *   each context encrypts its session tickets with keys of its own.
 */
export interface TlsHandshake {
  accept(socket: Socket, sourceIp: string | undefined): void
  /** Replaces certificate, key and CAs for new handshakes. Open connections are not affected. */
  use(material: TlsMaterial): void
  /** Ends the handshakes that are under way. */
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
  /** The rest of `timeoutMs`. */
  readonly leftMs: number
}

const settings = Object.freeze({
  minVersion: 'TLSv1.2',
  /** A resumed session does not show the certificate again, so it is short. */
  sessionTimeout: 300,
} as const)
/** AWS IoT's own ALPN name, and the registered one. Clients that offer only others are refused. */
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
    // Checked below, because Node would also refuse clients without a certificate.
    rejectUnauthorized: false,
    // Only a backstop: the timeout below runs on the injected clock.
    handshakeTimeout: timeoutMs * 2,
  })

  server.on('secureConnection', (socket) => {
    const handshake = underway.take(socket)
    const shown = clientCertificateOf(socket)
    // The handshake is unknown if it was ended here, or its connection is gone.
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
    // The code that closed the connection has already logged it.
    const handshake = underway.take(socket)
    if (handshake === undefined) return
    refuse('tls_handshake', { sourceIp: handshake.sourceIp, detail: describe(error) })
    socket.destroy()
  })

  return {
    accept(socket, sourceIp) {
      // A socket without an address is closed already.
      if (sourceIp === undefined) {
        socket.destroy()
        return
      }
      const timedOut = () => {
        underway.remove(handshake)
        refuse('tls_handshake', {
          sourceIp,
          detail: `the handshake was not complete after ${timeoutMs} ms`,
        })
        socket.destroy()
      }
      const handshake: Handshake = {
        key: keyOf(socket),
        socket,
        sourceIp,
        endsAtMs: clock.monotonicMs() + timeoutMs,
        cancel: clock.after(timeoutMs, timedOut),
      }
      underway.add(handshake)
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
  readonly key: string
  readonly socket: Socket
  readonly sourceIp: string | undefined
  readonly endsAtMs: number
  readonly cancel: () => void
}

/**
 * The handshakes under way, by address and port: TLS wraps the socket in another object. The next
 * connection may have the port of one that was reset, before that one is seen to be closed.
 */
function createUnderway(gone: (handshake: Handshake) => void) {
  const handshakes = new Map<string, Handshake>()

  /** @returns whether it was under way */
  function remove(handshake: Handshake): boolean {
    const { key } = handshake
    handshake.cancel()
    return handshakes.get(key) === handshake && handshakes.delete(key)
  }

  return {
    remove,
    add(handshake: Handshake) {
      handshakes.set(handshake.key, handshake)
      handshake.socket.once('close', () => {
        if (remove(handshake)) gone(handshake)
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

/** @returns the verified certificate of the client, if it showed one; or why it is not valid */
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

/** OpenSSL's messages contain addresses and file names; `reason` is the part to read. */
function describe(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : ''
  const text = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
  return shorten(`${code}${text}`, detailCharactersMax)
}
