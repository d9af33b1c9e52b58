import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import type { TrustedProxies } from '../../base/trusted-proxies.ts'
import { readProxyHeader } from '../../ingress/entrances/proxy-protocol.ts'
import type { ProxiedSource } from '../../ingress/entrances/proxy-protocol.ts'
import type { RawSockets } from './raw-sockets.ts'

interface ProxiedConnectionsOptions {
  readonly clock: Clock
  readonly proxies: TrustedProxies
  /** Absent without TLS. */
  readonly rawSockets: RawSockets | undefined
  /** For the header of the PROXY protocol. */
  readonly timeoutMs: number
  /** Connections whose header has not arrived yet; more are closed at once. */
  readonly waitingMax: number
  /** Told of each connection before its header is read. */
  readonly onWaiting: (socket: Socket) => void
}

/**
 * Reads the PROXY protocol on connections of trusted proxies before the server sees them, and shows
 * the address of the client on their sockets instead of the proxy's. To be called after all
 * listeners of `connection` were added.
 */
export function readProxyHeaders(server: Server, options: ProxiedConnectionsOptions): void {
  const { proxies, rawSockets, waitingMax, onWaiting } = options
  const listeners = server.listeners('connection')
  const sources = new WeakMap<Socket, ProxiedSource>()
  let waiting = 0

  const accept = (socket: Socket) => {
    for (const listener of listeners) listener.call(server, socket)
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    if (!proxies.includes(socket.remoteAddress)) {
      accept(socket)
      return
    }
    if (waiting >= waitingMax) {
      socket.destroy()
      return
    }
    onWaiting(socket)
    waiting++
    const arrived = once(() => waiting--)
    socket.once('close', arrived)
    readProxyHeader(socket, options, (header) => {
      arrived()
      if ('fault' in header) {
        socket.destroy()
        return
      }
      if (header.source) {
        sources.set(socket, header.source)
        showAddress(socket, header.source)
      }
      accept(socket)
    })
  })
  if (rawSockets === undefined) return
  // TLS makes another socket, which has the address of the proxy again.
  server.prependListener('secureConnection', (socket: Socket) => {
    const raw = rawSockets.rawOf(socket)
    const source = raw && sources.get(raw)
    if (source) showAddress(socket, source)
  })
}

function showAddress(socket: Socket, { address, port }: ProxiedSource): void {
  Object.defineProperties(socket, {
    remoteAddress: { value: address, configurable: true },
    remotePort: { value: port, configurable: true },
  })
}

function once(act: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) act()
    isDone = true
  }
}
