import type { NatsConnection } from '@nats-io/transport-node'
import { followConnection, listen } from '../nats/listen.ts'
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

  return {
    publish(data) {
      try {
        connection.publish(subject, data)
      } catch {
        // It is closed: the engine stops.
      }
    },
    listen(receive, reconnected) {
      listen(connection, subject, receive)
      void followConnection(connection, { found: reconnected })
    },
  }
}
