import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { listenOn } from '../../base/listen-on.ts'
import type { ListenAddress } from '../../base/listen-on.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import { normalizeAddress } from '../broker/connection.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { createRefusals } from './refusals.ts'

/** A port that clients connect to. */
export interface Listener {
  /**
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: ListenAddress): Promise<{ port: number }>
  /** Accepts no more; resolves when the last connection is closed. */
  close(): Promise<void>
}

const portOwner = {
  title: 'MQTT',
  variables: 'SLUICE_MQTT_HOST, SLUICE_MQTT_PORT or SLUICE_MQTTS_PORT',
}

interface ListenerDependencies {
  readonly limits: ConnectionLimits
  readonly log: LimitedLog
  readonly metrics: Metrics
}

/**
 * @param options allowHalfOpen: a client that has closed its side is still answered
 * @param accept called with each new connection within the limits
 */
export function createListener(
  dependencies: ListenerDependencies,
  options: { readonly allowHalfOpen: boolean },
  accept: (socket: Socket, sourceIp: string | undefined) => void,
): Listener {
  const refuse = createRefusals(dependencies)
  const server = createServer(options, (socket) => {
    const sourceIp = normalizeAddress(socket.remoteAddress)
    const slot = dependencies.limits.take(sourceIp)
    if (typeof slot === 'string') {
      refuse(slot, { sourceIp })
      socket.destroy()
      return
    }
    socket.once('close', slot.release)
    prepareSocket(socket)
    accept(socket, sourceIp)
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
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** How long a connection is silent before TCP probes whether the peer is alive. */
const tcpKeepAliveMs = 60_000

/** Sets the options of the TCP connection below every transport. */
export function prepareSocket(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, tcpKeepAliveMs)
}
