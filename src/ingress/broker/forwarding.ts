import type { Aedes, AedesPublishPacket, Client } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { carriedBy, isExpired } from '../kept/carried-properties.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import type { Profile } from '../mqtt5/profile.ts'
import type { Connection } from './connection.ts'

/** Decides which messages Aedes sends to a client of MQTT 3.1.1. */
interface Forwarding {
  /** To be called for each client before it gets messages. */
  readonly prepare: (client: Client) => void
  /** Called for each message to a client, including retained and queued ones. */
  readonly mayForward: (client: Client, packet: AedesPublishPacket) => boolean
}

interface ForwardingDependencies {
  readonly connectionOf: (client: Client) => Connection | undefined
  readonly clock: Clock
  readonly profile: Profile
  readonly queues: Pick<SubscriberQueues, 'isUnsent'>
}

export function createForwarding(
  broker: Pick<Aedes, 'id'>,
  { connectionOf, clock, profile, queues }: ForwardingDependencies,
): Forwarding {
  const duplicates = disabledDeduplication(broker.id)
  return {
    prepare(client) {
      ;(client as Deduplicating).duplicates = duplicates
    },
    mayForward(client, packet) {
      const carried = carriedBy(packet)
      if (carried !== undefined && isExpired(carried, clock.monotonicMs())) return false
      const connection = connectionOf(client)
      if (isRepeated(connection, packet)) return false
      // The backlog will come to it, so that it overtakes none before it, [MQTT-4.6.0-6].
      if (connection?.isEmptyingQueue && isWaiting(client, packet, queues)) return false
      if (connection === undefined || !mayReceive(connection, packet.topic, profile)) return false
      connection.messagesOut++
      return true
    },
  }
}

/**
 * So that a client gets a message once for all its filters, Aedes gives it none with a lower number
 * than the last one. But a message of QoS 1 is numbered before it is queued, and a later one of QoS
 * 0 may overtake it meanwhile: the message would be lost. So `isRepeated` decides in place of it.
 */
interface Deduplicating extends Client {
  /** Broker -> the number of the last message. */
  duplicates: object
}

const disabledDeduplication = (brokerId: string): object =>
  Object.defineProperty({}, brokerId, { get: () => 0, set: () => {} })

/** Whether another filter of the client matched: Aedes calls them one right after the other. */
function isRepeated(
  connection: Connection | undefined,
  { brokerCounter, messageId }: AedesPublishPacket,
): boolean {
  // Queued messages have a packet id, and retained ones have no number.
  if (connection === undefined || messageId !== undefined || brokerCounter === undefined)
    return false
  if (connection.latestCounter === brokerCounter) return true
  connection.latestCounter = brokerCounter
  return false
}

const isWaiting = (
  { id }: Client,
  { qos, brokerCounter }: AedesPublishPacket,
  queues: Pick<SubscriberQueues, 'isUnsent'>,
): boolean => qos > 0 && queues.isUnsent(id, brokerCounter)

/** Whether the policies let the client have a message of its session. */
export function mayReceive(
  connection: Connection | undefined,
  topic: string,
  { filterMatches }: Profile,
): boolean {
  if (connection?.permissions?.mayReceive(topic) !== true) return false
  // The message may have been queued for a filter that is no longer allowed.
  if (!connection.hasLostFilters) return true
  return [...connection.filters].some((filter) => filterMatches(filter, topic))
}
