import type { NatsConnection, Subscription } from '@nats-io/transport-node'

/**
 * Takes what comes on a subject that belongs to no stream.
 *
 * @param take may throw: in a callback of the client, a fault would end the connection, which all
 *   parts of a node share
 * @param failed is told of such a fault
 */
export function listen(
  connection: Pick<NatsConnection, 'subscribe'>,
  subject: string,
  take: (data: Uint8Array) => void,
  failed: () => void = () => undefined,
): Subscription {
  return connection.subscribe(subject, {
    callback(error, { data }) {
      if (error !== null) return
      try {
        take(data)
      } catch {
        failed()
      }
    },
  })
}

/** Tells when the connection is lost, and when it is there again, until it is closed. */
export async function followConnection(
  connection: Pick<NatsConnection, 'status'>,
  { lost, found }: { readonly lost?: () => void; readonly found: () => void },
): Promise<void> {
  for await (const { type } of connection.status()) {
    if (type === 'disconnect') lost?.()
    if (type === 'reconnect') found()
  }
}
