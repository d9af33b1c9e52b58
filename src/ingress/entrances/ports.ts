import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { isLoopback } from '../../base/loopback.ts'
import type { TrustedProxies } from '../../base/trusted-proxies.ts'
import type { TlsMaterial } from '../../identity/certificates/tls-files.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { Accept } from './acceptance.ts'
import { createConnectionLimits } from './connection-limits.ts'
import type { ConnectionLimitsOptions } from './connection-limits.ts'
import type { HeldBytes } from '../gate/held-bytes.ts'
import { createListener } from './listener.ts'
import type { Listener } from './listener.ts'
import { createTlsHandshake } from './tls-handshake.ts'
import type { TlsHandshake } from './tls-handshake.ts'
import { createWebSocketEntrance } from './web-socket.ts'
import type { WebSocketGuard } from './web-socket.ts'

/**
 * The entrances for MQTT: a TCP port, a TLS port, and the WebSockets that the HTTP server hands
 * over. Each gives `accept` a stream of bytes and its `Peer`; the limits of connections cover all
 * of them together.
 */
export interface Ports {
  listen(address: Address): Promise<{ port: number }>
  listenTls(address: Address, material: TlsMaterial): Promise<{ port: number }>
  readonly useTls: (material: TlsMaterial) => void
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Accepts no more connections; resolves when the last one is closed. */
  close(): Promise<void>
}

interface Address {
  readonly host: string
  readonly port: number
}

interface PortsDependencies {
  readonly accept: Accept
  readonly guard: WebSocketGuard | undefined
  readonly heldBytes: HeldBytes
  readonly proxies: TrustedProxies
  readonly clock: Clock
  readonly log: LimitedLog
  readonly metrics: Metrics
}

interface PortsOptions extends ConnectionLimitsOptions {
  readonly payloadBytesMax: number
  readonly connectTimeoutMs: number
  readonly closeTimeoutMs: number
}

export function createPorts(dependencies: PortsDependencies, options: PortsOptions): Ports {
  const { accept, guard, proxies, clock, log, metrics } = dependencies
  const limits = createConnectionLimits(
    { clock, isExempt: (address) => isLoopback(address) || proxies.includes(address) },
    options,
  )
  const listeners: Listener[] = []
  const webSocket =
    guard && createWebSocketEntrance({ ...dependencies, guard, limits }, options, accept)
  let handshake: TlsHandshake | undefined

  async function open(
    address: Address,
    allowHalfOpen: boolean,
    to: (socket: Socket, sourceIp: string | undefined) => void,
  ) {
    const listener = createListener(
      { limits, proxies, clock, log, metrics },
      { allowHalfOpen, headerTimeoutMs: options.connectTimeoutMs },
      to,
    )
    const opened = await listener.listen(address)
    listeners.push(listener)
    return opened
  }

  return {
    listen: (address) =>
      open(address, true, (socket, sourceIp) => accept(socket, { transport: 'tcp', sourceIp })),
    async listenTls(address, material) {
      const tls = createTlsHandshake(
        { clock, log, metrics },
        { material, timeoutMs: options.connectTimeoutMs },
        ({ socket, sourceIp, certificate, leftMs }) =>
          accept(socket, { transport: 'tls', sourceIp, certificate }, leftMs),
      )
      handshake = tls
      // A TLS peer that has closed discards later data, so nothing is half-open (RFC 5246, 7.2.1).
      return open(address, false, (socket, sourceIp) => tls.accept(socket, sourceIp))
    },
    useTls: (material) => handshake?.use(material),
    upgrade(request, socket, head) {
      if (webSocket) webSocket.upgrade(request, socket, head)
      else socket.destroy()
    },
    async close() {
      webSocket?.close()
      const closed = listeners.map((listener) => listener.close())
      handshake?.close()
      await Promise.all(closed)
    },
  }
}
