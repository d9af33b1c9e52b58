import type { Client } from 'aedes'
import type { Refusal } from '../mqtt5/incoming-publish.ts'
import type { Connection } from './connection.ts'
import type { Proceed, Publish } from './distributing.ts'
import type { IngestingDependencies } from './ingesting.ts'

/** PUBLISHes of MQTT 5 that are answered with a reason code. */
interface RefusedPublishes {
  refuse(
    sender: { readonly client: Client; readonly connection: Connection },
    refused: RefusedPublish,
  ): void
  /** Whether this is one of them, which is not distributed. Answers true once. */
  readonly isRefused: (packet: object) => boolean
}

/**
 * Answers PUBLISHes of MQTT 5 with a reason code, in the order of all answers, and keeps the
 * connection. Aedes knows no such answer, so for it they are messages of QoS 0.
 */
export function createRefusedPublishes({
  metrics,
  log,
}: Pick<IngestingDependencies, 'metrics' | 'log'>): RefusedPublishes {
  const refused = new Set<object>()
  return {
    isRefused: (packet: object): boolean => refused.size > 0 && refused.delete(packet),
    refuse(
      { client, connection }: { readonly client: Client; readonly connection: Connection },
      { publish, proceed, refusal }: RefusedPublish,
    ): void {
      const { reason, detail } = refusal
      metrics.messagesRejected.inc({ reason })
      log.warn(reason, { reason, clientId: client.id, detail }, 'a message was refused')
      const answer = () => {
        connection.mqtt5?.refuse(publish.packet, refusal)
        refused.add(publish.packet)
        publish.packet.qos = 0
        connection.gate.finish(publish.held)
        proceed()
        refused.delete(publish.packet)
        return 'done' as const
      }
      connection.answers.add(Promise.resolve(), answer, false)
    },
  }
}

interface RefusedPublish {
  readonly publish: Publish
  readonly proceed: Proceed
  readonly refusal: Refusal
}
