import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { isLoopback } from '../../base/loopback.ts'
import type { TrustedProxies } from '../../base/trusted-proxies.ts'
import { portOf, portUnavailable } from '../../base/listen-on.ts'
import type { ListenAddress } from '../../base/listen-on.ts'
import type { FileFaults } from '../../storage/file-faults.ts'
import { openTlsFiles } from '../../identity/certificates/tls-files.ts'
import type { TlsFiles, TlsMaterial } from '../../identity/certificates/tls-files.ts'
import type { ReloadedFile } from '../../storage/reloaded-file.ts'
import { createConnectionLimits } from '../../ingress/entrances/connection-limits.ts'
import type { ConnectionSlot } from '../../ingress/entrances/connection-limits.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createNodeServer, useTlsMaterial } from './node-server.ts'
import type { HttpLimits, OnUpgrade } from './node-server.ts'
import { readProxyHeaders } from './proxy-headers.ts'
import { createRawSockets } from './raw-sockets.ts'

/**
 * The HTTP port: the addresses that it listens on, its certificate and its connections. Its server
 * may be handed on while it listens: the next `listen` changes who answers, and nothing else.
 */
export interface HttpListener {
  /** The server that hands its requests to this handler once `listen` has been called. */
  serverFactory(handler: RequestListener, onUpgrade: OnUpgrade | undefined): Server
  /**
   * @param listenTo makes Fastify listen with the server that it was given; not called when the
   *   server listens already
   * @returns the port, which the system has chosen when the options say 0
   * @throws SluiceError IdentityFileInvalid, PortUnavailable (rejects)
   */
  listen(listenTo: (address: ListenAddress) => Promise<unknown>): Promise<number>
  /**
   * Takes no new connections. Resolves when all requests under way are answered on servers that
   * Fastify does not close itself.
   */
  stop(): Promise<void>
  closeAllConnections(): void
}

const portOwner = { title: 'the HTTP API', variables: 'SLUICE_HTTP_HOST or SLUICE_HTTP_PORT' }

export interface HttpListenerDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Told of TLS files that cannot be read. */
  readonly faults?: FileFaults | undefined
  /** Absent: plain HTTP. The authority file, if there is one, verifies certificates of clients. */
  readonly tls?: TlsFiles
  readonly proxies: TrustedProxies
}

export function createHttpListener(
  dependencies: HttpListenerDependencies,
  { host, port, limits }: ListenAddress & { readonly limits: HttpLimits },
): HttpListener {
  const { clock, logger, faults, tls, proxies } = dependencies
  const servers: Server[] = []
  /** Includes WebSockets, which Node's HTTP server does not count any more. */
  const sockets = new Set<Socket>()
  const slots = createConnectionSlots(clock, limits, proxies)
  let answering: Answering | undefined
  let next: Answering | undefined
  let bound: number | undefined
  let wasHandedOn = false
  let files: ReloadedFile<TlsMaterial> | undefined

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const answer: RequestListener = (request, response) => answering?.handler(request, response)
  const onUpgrade: OnUpgrade = (...upgrade) => answering?.onUpgrade?.(...upgrade)
  const addServer = (): Server => {
    const takesUpgrades = next?.onUpgrade !== undefined
    const counting = { limits, slots, keep, onUpgrade: takesUpgrades ? onUpgrade : undefined }
    const server = createCountedServer(answer, dependencies, counting)
    servers.push(server)
    return server
  }
  const showCertificate = (material: TlsMaterial): void => {
    for (const server of servers) useTlsMaterial(server, material)
  }

  return {
    serverFactory(handler, upgrade) {
      next = { handler, onUpgrade: upgrade }
      return servers[0] ?? addServer()
    },
    async listen(listenTo) {
      answering = next
      if (bound !== undefined) {
        wasHandedOn = true
        return bound
      }
      files = tls && (await openTlsFiles({ clock, logger, faults }, tls, showCertificate))
      const isLocalhost = host === 'localhost'
      const address = { host: isLocalhost ? '127.0.0.1' : host, port }
      try {
        await listenTo(address)
      } catch (thrown) {
        throw portUnavailable(thrown, { host, port }, portOwner)
      }
      const chosen = (servers[0] && portOf(servers[0])) ?? port
      bound = chosen
      // Clients resolve `localhost` to either address family. A machine may have no IPv6.
      if (isLocalhost) await tryListen(addServer(), { host: '::1', port: chosen })
      if (files) showCertificate(files.current())
      return chosen
    },
    async stop() {
      files?.close()
      const own = wasHandedOn ? servers : servers.slice(1)
      await Promise.all(own.map(stopServer))
    },
    closeAllConnections() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Who answers. */
interface Answering {
  readonly handler: RequestListener
  /** Takes WebSocket upgrades on `/mqtt`. */
  readonly onUpgrade: OnUpgrade | undefined
}

/** Resolves at once when it does not listen. */
function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
}

interface ConnectionCounting {
  readonly onUpgrade: OnUpgrade | undefined
  readonly limits: HttpLimits
  readonly slots: ReturnType<typeof createConnectionSlots>
  /** Notes a connection, so that it can be closed. */
  readonly keep: (socket: Socket) => void
}

/** A server whose connections are counted, by the clients that trusted proxies name. */
function createCountedServer(
  answer: RequestListener,
  { clock, tls, proxies }: HttpListenerDependencies,
  { limits, slots, keep, onUpgrade }: ConnectionCounting,
): Server {
  const rawSockets = createRawSockets(tls !== undefined)
  const server = createNodeServer(answer, {
    tls: tls && { asksClients: tls.authorityFile !== undefined },
    limits,
    clock,
    rawSockets,
    onUpgrade:
      onUpgrade &&
      ((request, socket, head) => {
        onUpgrade(request, socket, head)
        slots.release(rawSockets.rawOf(request.socket))
      }),
  })
  server.prependListener('connection', (socket: Socket) => {
    if (slots.take(socket)) keep(socket)
  })
  readProxyHeaders(server, {
    clock,
    proxies,
    rawSockets: tls && rawSockets,
    timeoutMs: limits.headersTimeoutMs,
    waitingMax: limits.connectionsMax,
    onWaiting: keep,
  })
  rawSockets.follow(server)
  return server
}

/** Counts connections. A connection over a limit is closed at once, without an answer. */
function createConnectionSlots(clock: Clock, limits: HttpLimits, proxies: TrustedProxies) {
  const isExempt = (address: string) => isLoopback(address) || proxies.includes(address)
  const connections = createConnectionLimits({ clock, isExempt }, { ...limits, connectRate: 0 })
  const slots = new WeakMap<Socket, ConnectionSlot>()
  return {
    take(socket: Socket): boolean {
      const slot = connections.take(socket.remoteAddress)
      if (typeof slot === 'string') {
        socket.destroy()
        return false
      }
      slots.set(socket, slot)
      socket.once('close', slot.release)
      return true
    },
    /** Before the connection is closed, where another part counts it from now on. */
    release(socket: Socket | undefined): void {
      if (socket) slots.get(socket)?.release()
    },
  }
}

async function tryListen(server: Server, address: ListenAddress): Promise<void> {
  const settled = Promise.race([once(server, 'listening'), once(server, 'error')])
  server.listen(address)
  await settled.catch(() => undefined)
}
