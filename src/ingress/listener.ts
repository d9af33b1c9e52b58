import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { messageOf, SluiceError } from '../errors.ts'
import type { LimitedLog } from '../limited-log.ts'
import type { Metrics } from '../telemetry.ts'

/** The port that clients connect to. */
export interface Listener {
  /**
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ port: number }>
  /** Accepts no more; resolves when the last connection is closed. */
  close(): Promise<void>
}

export function createListener(
  { log, metrics }: { readonly log: LimitedLog; readonly metrics: Metrics },
  { connectionsMax }: { readonly connectionsMax: number },
  accept: (socket: Socket) => void,
): Listener {
  const server = createServer({ allowHalfOpen: true }, accept)
  server.maxConnections = connectionsMax
  server.on('drop', () => {
    metrics.mqttConnectionsRefused.inc({ reason: 'too_many_connections' })
    log.warn('too_many_connections', {}, 'a connection was refused: there are too many')
  })
  const acceptFailed = (error: Error): void => {
    metrics.mqttConnectionsRefused.inc({ reason: 'accept_failed' })
    log.warn('accept_failed', { detail: error.message }, 'a connection could not be accepted')
  }
  return {
    listen: (address) => listen(server, address, acceptFailed),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  onLaterError: (error: Error) => void,
): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const text = `MQTT cannot listen on ${host}:${port}: ${messageOf(cause)}`
      reject(new SluiceError('PortUnavailable', text, { cause }))
    })
    server.listen({ host, port }, () => {
      server.removeAllListeners('error')
      // Later ones are of single connections, such as too many open files.
      server.on('error', onLaterError)
      resolve({ port: (server.address() as AddressInfo).port })
    })
  })
}
