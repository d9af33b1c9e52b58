import type { NatsConnection } from '@nats-io/transport-node'
import type { ClaimBus } from './client-claims.ts'

/**
 * What nodes tell each other of their clients, on `sluice.<cluster>.clients`, which belongs to no
 * stream.
 *
 * @param cluster letters, digits, `-` and `_`
 */
export function createNatsClaimBus(
  connection: Pick<NatsConnection, 'publish' | 'subscribe' | 'status'>,
  cluster: string,
): ClaimBus {
  const subject = `sluice.${cluster}.clients`

  async function watchConnection(reconnected: () => void): Promise<void> {
    for await (const { type } of connection.status()) if (type === 'reconnect') reconnected()
  }

  return {
    publish(data) {
      try {
        connection.publish(subject, data)
      } catch {
        // It is closed: the engine stops.
      }
    },
    listen(receive, reconnected) {
      connection.subscribe(subject, {
        callback(error, { data }) {
          if (error !== null) return
          try {
            receive(data)
          } catch {
            // Thrown here, it would end the connection, which the log needs, too.
          }
        },
      })
      void watchConnection(reconnected)
    },
  }
}
