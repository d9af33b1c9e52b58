import type { Client, PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { publish311 } from '../mqtt5/incoming-publish.ts'
import type { Connection } from './connection.ts'

/** What became of a message to one client. */
export type DirectOutcome = 'sent' | 'confirmed' | 'notConnected' | 'notAllowed' | 'notConfirmed'

/** Sends messages to one client each, of which no queue and no subscription knows. */
interface DirectMessages {
  /** @param confirmMs how long to wait for the PUBACK of a message of QoS 1 */
  send(to: Receiver, packet: PublishPacket, confirmMs?: number): Promise<DirectOutcome>
}

interface Receiver {
  readonly client: Client
  readonly connection: Connection
}

export interface DirectMessagesDependencies {
  readonly queues: SubscriberQueues
  /** Aedes' store: it asks here for each PUBACK of MQTT 3.1.1. */
  readonly persistence: object
  readonly clock: Clock
}

/** Messages of one client that wait for PUBACK; further ones are not confirmed. */
const waitingMax = 100

export function createDirectMessages({
  queues,
  persistence,
  clock,
}: DirectMessagesDependencies): DirectMessages {
  /** Client -> packet id -> called at its PUBACK. For MQTT 3.1.1. */
  const waiting = new WeakMap<Client, Map<number, () => void>>()
  watchAcknowledgements(persistence, (client, packetId) => waiting.get(client)?.get(packetId)?.())

  /** @returns a packet id that no queued message has */
  function takePacketId(client: NumberingClient): number {
    for (;;) {
      const packetId = client[nextId]
      client[nextId] = (packetId % 65_535) + 1
      if (!queues.isTaken(client.id, packetId)) return packetId
    }
  }

  /** @returns what forgets that the message was sent */
  function sendTo311(
    { client, connection }: Receiver,
    { topic, payload }: PublishPacket,
    acknowledged: () => void,
  ): () => void {
    const ofClient = waiting.get(client) ?? new Map<number, () => void>()
    waiting.set(client, ofClient)
    if (ofClient.size >= waitingMax) return () => {}
    const packetId = takePacketId(client as NumberingClient)
    ofClient.set(packetId, acknowledged)
    const id = Buffer.from([packetId >> 8, packetId & 0xff])
    const qos1 = Buffer.from([0x32])
    connection.gate.stream.write(publish311(qos1, Buffer.from(topic), [id, Buffer.from(payload)]))
    return () => void ofClient.delete(packetId)
  }

  function sendConfirmed(
    to: Receiver,
    packet: PublishPacket,
    confirmMs: number,
  ): Promise<DirectOutcome> {
    const { client, connection } = to
    const { stream } = connection.gate
    return new Promise((resolve) => {
      const ends = [clock.after(confirmMs, () => finish('notConfirmed'))]
      const gone = () => finish('notConfirmed')
      stream.once('close', gone)
      function finish(outcome: DirectOutcome): void {
        for (const end of ends) end()
        stream.off('close', gone)
        resolve(outcome)
      }
      const acknowledged = () => finish('confirmed')
      if (client.closed) finish('notConnected')
      else if (connection.subscriber === undefined) ends.push(sendTo311(to, packet, acknowledged))
      else connection.subscriber.sendConfirmed(packet, acknowledged)
    })
  }

  return {
    async send(to, packet, confirmMs) {
      const { client, connection } = to
      if (confirmMs !== undefined) return sendConfirmed(to, packet, confirmMs)
      await new Promise<void>((resolve) => {
        if (connection.subscriber === undefined) client.publish(packet, () => resolve())
        else connection.subscriber.send(packet, () => resolve())
      })
      return 'sent'
    },
  }
}

const nextId = '_nextId'

/** Aedes numbers what it sends to a client; its declared type leaves that out. */
interface NumberingClient extends Client {
  [nextId]: number
}

type AcknowledgingStore = {
  outgoingClearMessageId: (client: Client, packet: { messageId?: number }) => Promise<unknown>
}

function watchAcknowledgements(
  persistence: object,
  acknowledged: (client: Client, packetId: number) => void,
): void {
  const store = persistence as AcknowledgingStore
  const { outgoingClearMessageId } = store
  store.outgoingClearMessageId = (client, packet) => {
    acknowledged(client, packet.messageId ?? 0)
    return outgoingClearMessageId.call(store, client, packet)
  }
}
