import { Readable } from 'node:stream'
import type { Client, PublishPacket, PubrelPacket, Subscription } from 'aedes'
import { carriedBy } from './carried-properties.ts'
import { isGroupKey, markUnqueued } from './group-queues.ts'
import type { ReceivedIds } from './received-ids.ts'
import type { StoredPacket, SubscriberQueues } from './subscriber-queues.ts'
import type { QueuedSubscription, SessionSubscriptions } from './subscriptions.ts'

/**
 * What Aedes stores beyond a connection. Each fact has one owner:
 *
 * - `sessions.ts` decides whether a client has a session. What is stored for the client here begins
 *   and ends with its session.
 * - `subscriptions.ts` holds the subscriptions of sessions.
 * - The `ReceivedIds` of the session, or of the connection, hold the QoS 2 handshakes of
 *   publishers.
 * - `subscriber-queues.ts` holds the queues of subscribers, which Aedes' store does not bound.
 * - `retained-delivery.ts` stores and sends retained messages.
 * - A will is stored only in its connection. Aedes would publish a stored will of a connected
 *   client if the time of day were set forward between two of its heartbeats.
 */
interface Persistence {
  /** For Aedes' option `persistence`. */
  readonly store: object
  /** Removes the session of a client that is not connected. */
  forget(clientId: string): void
  /** Stores one granted subscription in the session of a client. */
  readonly storeSubscription: (client: Client, subscription: Subscription) => void
  /** Removes one filter from the session of a client. */
  readonly forgetSubscription: (client: Client, filter: string) => void
  /** Whether messages of QoS 1 and 2 are queued for a group. */
  readonly setQueued: (key: string, filter: string, isQueued: boolean) => void
  /**
   * Resolves when the subscriptions of the client's session are on disk; undefined when they are
   * not kept there.
   */
  readonly subscriptionsFlushed: (client: Client) => Promise<void> | undefined
}

interface PersistenceDependencies {
  readonly queues: SubscriberQueues
  readonly subscriptions: SessionSubscriptions
  /** Absent: nothing is on disk. */
  readonly disk?: Pick<SessionDisk, 'save' | 'flushed'> | undefined
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
  /** The backlog of the client's session is sent, so that later messages may be sent at once. */
  readonly emptied: (client: Client) => void
  /** A message was not queued for `count` subscribers. */
  readonly notKept: (count: number) => void
}

export function createPersistence(dependencies: PersistenceDependencies): Persistence {
  const { queues, subscriptions, notKept } = dependencies
  const backlog = createBacklog(dependencies)
  const { store: ofSessions, ...direct } = createStoredSubscriptions(dependencies)

  async function enqueue(
    receiving: readonly QueuedSubscription[],
    packet: StoredPacket,
  ): Promise<void> {
    // Two filters of one client may match, and it gets the message once for each of them.
    const { topic, clientId: publisher } = packet as PublishPacket & { clientId?: string }
    const clientIds = receiving
      .filter(({ noLocal, clientId }) => !noLocal || clientId !== publisher)
      .map(({ clientId }) => clientId)
    // Messages that are never forwarded would fill the queue. A session may have ended meanwhile.
    const isRelayed = carriedBy(packet as PublishPacket)?.isRelayed === true
    const receivers = clientIds.filter(
      (clientId) =>
        dependencies.hasSession(clientId) &&
        dependencies.mayReceive(clientId, topic) &&
        !(isRelayed && isGroupKey(clientId)),
    )
    const count = queues.enqueue(receivers, packet)
    if (count > 0) notKept(count)
    for (const clientId of receivers) {
      if (isGroupKey(clientId) && !queues.isUnsent(clientId, packet.brokerCounter))
        markUnqueued(packet, clientId)
    }
  }

  function forget(clientId: string): void {
    queues.forget(clientId)
    subscriptions.clean(clientId)
  }

  const store = {
    // Aedes insists on an async function here.
    setup: nothing,
    destroy: nothing,

    storeRetained: nothing,
    createRetainedStream: () => Readable.from([]),
    createRetainedStreamCombi: () => Readable.from([]),

    ...ofSessions,

    outgoingEnqueue: ({ clientId }: { readonly clientId: string }, packet: StoredPacket) =>
      enqueue([{ clientId, noLocal: false }], packet),
    outgoingEnqueueCombi: enqueue,
    // A packet that was not queued is sent nevertheless, so that is no error here.
    async outgoingUpdate(client: Client, packet: StoredPacket) {
      queues.update(client.id, packet)
      backlog.updated(client)
    },
    async outgoingClearMessageId(client: Client, { messageId = 0 }: StoredPacket) {
      const acknowledged = queues.acknowledge(client.id, messageId)
      dependencies.acknowledged(client, messageId)
      return acknowledged
    },
    outgoingStream: (client: Client) =>
      Readable.from(dependencies.isMqtt5(client) ? [] : backlog.of(client)),

    ...createHandshakes(dependencies),

    putWill: nothing,
    getWill: nothing,
    delWill: nothing,
    streamWill: () => Readable.from([]),
  }
  const { setQueued } = subscriptions
  return { store, forget, setQueued, ...direct }
}

// Aedes insists on promises.
const nothing = async () => undefined

/**
 * What a session owes its client when it connects, one after the other: Aedes would read ahead, and
 * could not tell when a message that comes meanwhile is the next one.
 */
function createBacklog({ queues, emptied }: PersistenceDependencies) {
  const waiting = new WeakMap<Client, () => void>()
  return {
    async *of(client: Client): AsyncGenerator<StoredPacket> {
      for (const packet of queues.each(client.id)) {
        const isUpdated = new Promise<void>((resolve) => waiting.set(client, resolve))
        yield packet
        await isUpdated
      }
      // In one turn with the last look into the queue.
      emptied(client)
    },
    /** Aedes is about to send a packet. */
    updated: (client: Client) => waiting.get(client)?.(),
  }
}

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

/** Where the sessions are on disk. */
interface SessionDisk {
  /** What is stored of the client's session has changed. */
  readonly save: (clientId: string) => void
  /** @returns undefined when the session does not outlive the process */
  readonly flushed: (clientId: string) => Promise<void> | undefined
}

function createStoredSubscriptions({
  subscriptions,
  disk,
  keepsFilter,
  hasSession,
}: PersistenceDependencies) {
  const add = (client: Client, asked: readonly Subscription[]) => {
    const granted = asked.filter(({ topic }) => keepsFilter(client, topic))
    subscriptions.add(client.id, granted)
    if (granted.length > 0) disk?.save(client.id)
  }
  const remove = (client: Client, filters: readonly string[]) => {
    subscriptions.remove(client.id, filters)
    disk?.save(client.id)
  }
  // A session that comes back without a subscription that was acknowledged would miss messages.
  const subscriptionsFlushed = (client: Client) => disk?.flushed(client.id)
  const store = {
    async addSubscriptions(client: Client, asked: readonly Subscription[]) {
      add(client, asked)
      await subscriptionsFlushed(client)
    },
    async removeSubscriptions(client: Client, filters: readonly string[]) {
      remove(client, filters)
      await subscriptionsFlushed(client)
    },
    /** Called once for a CONNACK: "session present" is true if there are any. */
    async subscriptionsByClient({ id }: Client) {
      // Before anything can change: the connection has resumed its session in this turn.
      if (!hasSession(id)) return []
      const stored = [...(subscriptions.filtersOf.get(id)?.values() ?? [])]
      return stored.length > 0 ? stored : [sessionMarker]
    },
    subscriptionsByTopic: async (topic: string) => subscriptions.match(topic),
    countOffline: async () => ({ subsCount: 0, clientsCount: subscriptions.filtersOf.size }),
    // Aedes calls it before a connection with a clean session is accepted, which may still be
    // refused; the session ends when the connection is accepted.
    cleanSubscriptions: nothing,
  }
  return {
    store,
    storeSubscription: (client: Client, subscription: Subscription) => add(client, [subscription]),
    forgetSubscription: (client: Client, filter: string) => remove(client, [filter]),
    subscriptionsFlushed,
  }
}
