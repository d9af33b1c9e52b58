import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Finds the TCP connection of a socket of a server. With TLS they are two objects, and Node has no
 * documented way from one to the other.
 *
 * Whatever belongs to a connection is kept by its TCP socket. Addresses do not identify it: a
 * connection that was reset before it was accepted has none, and proxies may name one twice.
 */
export interface RawSockets {
  /** @returns undefined when the connection is gone already */
  rawOf(socket: Socket): Socket | undefined
  /**
   * Follows the connections of the server. To be called last, because it has to see each connection
   * before all other listeners, which may show another address on its sockets.
   */
  follow(server: Server): void
}

export function createRawSockets(isTls: boolean): RawSockets {
  /** By the address and port of the other end, which no two connections have at a time. */
  const open = new Map<string, Socket>()
  /** Filled before a proxy's address is replaced on the socket of TLS. */
  const known = new WeakMap<Socket, Socket>()
  const find = (socket: Socket) => open.get(peerOf(socket))

  return {
    rawOf: (socket) => (isTls ? (known.get(socket) ?? find(socket)) : socket),
    follow(server) {
      if (!isTls) return
      server.prependListener('connection', (socket: Socket) => {
        if (socket.remoteAddress === undefined) return
        const peer = peerOf(socket)
        open.set(peer, socket)
        socket.once('close', () => {
          // The next connection may have the same port, before this one is seen to be closed.
          if (open.get(peer) === socket) open.delete(peer)
        })
      })
      server.prependListener('secureConnection', (socket: Socket) => {
        const raw = find(socket)
        if (raw) known.set(socket, raw)
      })
    },
  }
}

const peerOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`
