import { Readable } from 'node:stream'
import type { Client, PublishPacket, PubrelPacket, Subscription } from 'aedes'
import AsyncPersistence from 'aedes-persistence/asyncPersistence.js'
import { isGroupKey, markUnqueued } from './group-queues.ts'
import type { ReceivedIds } from './received-ids.ts'
import type { StoredPacket, SubscriberQueues } from './subscriber-queues.ts'

/**
 * What Aedes stores beyond a connection, in memory. Each fact has one owner:
 *
 * - `sessions.ts` decides whether a client has a session. What is stored for the client here begins
 *   and ends with its session.
 * - Aedes' own store holds the subscriptions.
 * - The `ReceivedIds` of the session, or of the connection, hold the QoS 2 handshakes of
 *   publishers.
 * - `subscriber-queues.ts` holds the queues of subscribers, which Aedes' store does not bound.
 * - `retained-delivery.ts` stores and sends retained messages.
 * - A will is stored only in its connection. Aedes would publish a stored will of a connected
 *   client if the time of day were set forward between two of its heartbeats.
 */
interface Persistence {
  /** For Aedes' option `persistence`. */
  readonly store: object & FindSubscriptions
  /** The subscriptions of sessions by client id and filter, of absent clients too. */
  readonly storedFilters: ReadonlyMap<string, ReadonlyMap<string, Subscription>>
  /** Removes the session of a client that is not connected. */
  forget(clientId: string): void
  /** Stores one granted subscription in the session of a client. */
  readonly storeSubscription: (client: Client, subscription: Subscription) => void
  /** Removes one filter from the session of a client. */
  readonly forgetSubscription: (client: Client, filter: string) => void
  /** Whether messages of QoS 1 and 2 are queued for a group. */
  readonly setQueued: (key: string, filter: string, isQueued: boolean) => void
}

export interface FindSubscriptions {
  /** The subscriptions of QoS 1 and 2 of sessions that match. Replaced to leave some out. */
  subscriptionsByTopic: (topic: string) => Promise<readonly { readonly topic: string }[]>
}

interface PersistenceDependencies {
  readonly queues: SubscriberQueues
  /** `has` of `sessions.ts`. */
  readonly hasSession: (clientId: string) => boolean
  /**
   * Whether the session of this client stores the filter: it is not over, and the filter was
   * granted. Aedes passes refused filters, too.
   */
  readonly keepsFilter: (client: Client, filter: string) => boolean
  /** The handshakes of the client's session or connection. */
  readonly receivedOf: (client: Client) => ReceivedIds | undefined
  /** Whether the client may get messages of this topic; for an absent client, decided later. */
  readonly mayReceive: (clientId: string, topic: string) => boolean
  /** Whether the client speaks MQTT 5, so that Aedes does not send it what is queued. */
  readonly isMqtt5: (client: Client) => boolean
  /** The client has acknowledged a packet, which may be of a shared subscription. */
  readonly acknowledged: (client: Client, messageId: number) => void
  /** A message was not queued for `count` subscribers. */
  readonly notKept: (count: number) => void
}

export function createPersistence(dependencies: PersistenceDependencies): Persistence {
  const { queues, notKept } = dependencies
  const memory = new AsyncPersistence()
  const ofSessions = createSubscriptions(memory, dependencies)

  async function enqueue(
    subscriptions: readonly StoredSubscription[],
    packet: StoredPacket,
  ): Promise<void> {
    // Two filters of one client may match, and it gets the message once for each of them.
    const { topic, clientId: publisher } = packet as PublishPacket & { clientId?: string }
    const clientIds = subscriptions
      .filter(({ nl, clientId }) => nl !== true || clientId !== publisher)
      .map(({ clientId }) => clientId)
    // Messages that are never forwarded would fill the queue. A session may have ended meanwhile.
    const receivers = clientIds.filter(
      (clientId) => dependencies.hasSession(clientId) && dependencies.mayReceive(clientId, topic),
    )
    const count = queues.enqueue(receivers, packet)
    if (count > 0) notKept(count)
    for (const clientId of receivers) {
      if (isGroupKey(clientId) && !queues.isUnsent(clientId, packet.brokerCounter))
        markUnqueued(packet, clientId)
    }
  }

  function forget(clientId: string): void {
    const client = { id: clientId } as Client
    queues.forget(clientId)
    ofSessions.clean(client)
  }

  const forgetSubscription = (client: Client, filter: string) =>
    void ofSessions.store.removeSubscriptions(client, [filter])
  // It cannot fail in memory.
  const storeSubscription = (client: Client, subscription: Subscription) =>
    void ofSessions.store.addSubscriptions(client, [subscription])

  // It cannot fail in memory.
  const setQueued = (key: string, filter: string, isQueued: boolean) =>
    void memory.addSubscriptions({ id: key } as Client, [{ topic: filter, qos: isQueued ? 1 : 0 }])

  const store = {
    // Aedes insists on an async function here.
    setup: async (broker: unknown) => memory.setup(broker),
    destroy: () => memory.destroy(),

    storeRetained: nothing,
    createRetainedStream: () => Readable.from([]),
    createRetainedStreamCombi: () => Readable.from([]),

    ...ofSessions.store,
    getClientList: (topic: string) => memory.getClientList(topic),

    outgoingEnqueue: (subscription: StoredSubscription, packet: StoredPacket) =>
      enqueue([subscription], packet),
    outgoingEnqueueCombi: enqueue,
    // A packet that was not queued is sent nevertheless, so that is no error here.
    async outgoingUpdate(client: Client, packet: StoredPacket) {
      queues.update(client.id, packet)
    },
    async outgoingClearMessageId(client: Client, { messageId = 0 }: StoredPacket) {
      const acknowledged = queues.acknowledge(client.id, messageId)
      dependencies.acknowledged(client, messageId)
      return acknowledged
    },
    outgoingStream: (client: Client) =>
      Readable.from(dependencies.isMqtt5(client) ? [] : queues.list(client.id)),

    ...createHandshakes(dependencies),

    putWill: nothing,
    getWill: nothing,
    delWill: nothing,
    streamWill: () => Readable.from([]),
  }
  return {
    store,
    forget,
    storeSubscription,
    forgetSubscription,
    setQueued,
    storedFilters: ofSessions.filtersOf,
  }
}

/** `nl`: No Local, the client does not get what it has published itself. */
interface StoredSubscription {
  readonly clientId: string
  readonly nl?: boolean | undefined
}

// Aedes insists on promises.
const nothing = async () => undefined

/**
 * For QoS 2, Aedes asks whether a PUBLISH is a duplicate, and whether the id of a PUBREL is open.
 */
function createHandshakes({ receivedOf }: PersistenceDependencies) {
  return {
    async incomingGetPacket(client: Client, packet: PublishPacket | PubrelPacket) {
      const received = receivedOf(client)
      const isKnown =
        packet.cmd === 'publish'
          ? received?.isDistributed(packet)
          : received?.has(packet.messageId ?? 0)
      if (isKnown !== true) throw new Error('no such packet')
      return packet
    },
    async incomingStorePacket(client: Client, packet: PublishPacket) {
      receivedOf(client)?.distributing(packet)
    },
    async incomingDelPacket(client: Client, { messageId = 0 }: PubrelPacket) {
      receivedOf(client)?.release(messageId)
    },
    // The handshakes end with their session or connection.
    cleanIncoming: nothing,
  }
}

/**
 * Stands for the filters of a session that has none, because Aedes reports a session without
 * filters as absent. `grantSubscription` leaves it out again.
 */
export const sessionMarker: Subscription = Object.freeze({ topic: 'session', qos: 0 })

/** The subscriptions of sessions, with their filters at hand: Aedes' store answers too late. */
function createSubscriptions(
  memory: AsyncPersistence,
  { keepsFilter, hasSession }: PersistenceDependencies,
) {
  const filtersOf = new Map<string, Map<string, Subscription>>()
  const store = {
    addSubscriptions(client: Client, subscriptions: readonly Subscription[]) {
      const granted = subscriptions.filter(({ topic }) => keepsFilter(client, topic))
      const known = filtersOf.get(client.id) ?? new Map<string, Subscription>()
      for (const subscription of granted) known.set(subscription.topic, subscription)
      if (known.size > 0) filtersOf.set(client.id, known)
      return memory.addSubscriptions(client, granted)
    },
    removeSubscriptions(client: Client, filters: string[]) {
      const known = filtersOf.get(client.id)
      for (const filter of filters) known?.delete(filter)
      if (known?.size === 0) filtersOf.delete(client.id)
      return memory.removeSubscriptions(client, filters)
    },
    /** Called once for a CONNACK: "session present" is true if there are any. */
    async subscriptionsByClient(client: Client) {
      // Before anything can change: the connection has resumed its session in this turn.
      if (!hasSession(client.id)) return []
      const stored = await memory.subscriptionsByClient(client)
      return stored.length > 0 ? stored : [sessionMarker]
    },
    subscriptionsByTopic: (topic: string) => memory.subscriptionsByTopic(topic),
    countOffline: () => memory.countOffline(),
    // Aedes calls it before a connection with a clean session is accepted, which may still be
    // refused; the session ends when the connection is accepted.
    cleanSubscriptions: nothing,
  }
  function clean(client: Client): void {
    filtersOf.delete(client.id)
    // It cannot fail in memory.
    void memory.cleanSubscriptions(client)
  }
  return { store, clean, filtersOf }
}
