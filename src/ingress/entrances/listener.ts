import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { listenOn } from '../../base/listen-on.ts'
import type { ListenAddress } from '../../base/listen-on.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { Clock } from '../../base/clock.ts'
import type { TrustedProxies } from '../../base/trusted-proxies.ts'
import { normalizeAddress } from '../broker/connection.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import { createRefusals } from './refusals.ts'

/** A port that clients connect to. */
export interface Listener {
  /**
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: ListenAddress): Promise<{ port: number }>
  /**
   * Accepts no more, and ends the connections that it has not handed on yet; resolves when the last
   * connection is closed.
   */
  close(): Promise<void>
}

const portOwner = {
  title: 'MQTT',
  variables: 'SLUICE_MQTT_HOST, SLUICE_MQTT_PORT or SLUICE_MQTTS_PORT',
}

interface ListenerDependencies {
  readonly limits: ConnectionLimits
  readonly proxies: TrustedProxies
  readonly clock: Clock
  readonly log: LimitedLog
  readonly metrics: Metrics
}

interface ListenerOptions {
  /** A client that has closed its side is still answered. */
  readonly allowHalfOpen: boolean
  /** For the first bytes on a connection of a trusted proxy. */
  readonly headerTimeoutMs: number
}

/**
 * @param accept called with each new connection within the limits
 */
export function createListener(
  dependencies: ListenerDependencies,
  { allowHalfOpen, headerTimeoutMs }: ListenerOptions,
  accept: (socket: Socket, sourceIp: string | undefined) => void,
): Listener {
  const refuse = createRefusals(dependencies)
  const { limits, proxies, clock } = dependencies
  /** Connections whose PROXY header has not come: nobody but the listener knows them yet. */
  const waiting = new Set<Socket>()
  let isClosed = false

  function open(socket: Socket, sourceIp: string | undefined): void {
    const slot = limits.take(sourceIp)
    if (typeof slot === 'string') {
      refuse(slot, { sourceIp })
      socket.destroy()
      return
    }
    socket.once('close', slot.release)
    prepareSocket(socket)
    accept(socket, sourceIp)
  }
  /** The proxy's connection takes a slot until it is known which client it is from. */
  function openProxied(socket: Socket, proxyIp: string | undefined): void {
    const slot = limits.take(proxyIp)
    if (typeof slot === 'string') {
      refuse(slot, { sourceIp: proxyIp })
      socket.destroy()
      return
    }
    waiting.add(socket)
    socket.once('close', () => {
      waiting.delete(socket)
      slot.release()
    })
    readProxyHeader(socket, { clock, timeoutMs: headerTimeoutMs }, (header) => {
      waiting.delete(socket)
      slot.release()
      if ('fault' in header) {
        refuse('proxy_header', { sourceIp: proxyIp, detail: header.fault })
        socket.destroy()
      } else {
        open(socket, normalizeAddress(header.source?.address) ?? proxyIp)
      }
    })
  }
  const server = createServer({ allowHalfOpen }, (socket) => {
    const sourceIp = normalizeAddress(socket.remoteAddress)
    if (isClosed) socket.destroy()
    else if (proxies.includes(sourceIp)) openProxied(socket, sourceIp)
    else open(socket, sourceIp)
  })
  const acceptFailed = (error: Error): void => {
    refuse('accept_failed', { detail: error.message })
  }
  return {
    async listen(address) {
      const port = await listenOn(server, address, portOwner)
      // Later errors are of single connections, such as too many open files.
      server.on('error', acceptFailed)
      return { port }
    },
    close: () =>
      new Promise((resolve) => {
        isClosed = true
        server.close(() => resolve())
        for (const socket of waiting) socket.destroy()
      }),
  }
}

/** How long a connection is silent before TCP probes whether the peer is alive. */
const tcpKeepAliveMs = 60_000

/** Sets the options of the TCP connection below every transport. */
export function prepareSocket(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, tcpKeepAliveMs)
}
