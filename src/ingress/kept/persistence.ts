import { Readable } from 'node:stream'
import type { Client, PublishPacket, PubrelPacket, Subscription } from 'aedes'
import AsyncPersistence from 'aedes-persistence/asyncPersistence.js'
import type { ReceivedIds } from './received-ids.ts'
import type { StoredPacket, SubscriberQueues } from './subscriber-queues.ts'

/**
 * What Aedes remembers beyond a connection, in memory. Each fact is kept once:
 *
 * - Whether a client has a session is for `sessions.ts` to say. What is kept for it here begins and
 *   ends with the session.
 * - Its subscriptions are in Aedes' own store.
 * - QoS 2 handshakes of publishers are in the `ReceivedIds` of the session, or of the connection.
 * - The queues of subscribers, which have no bound in Aedes' store, are ours.
 * - Retained messages are ours too, and `retained-delivery.ts` stores and sends them.
 * - A will is known to its connection alone. Aedes would publish a stored one, of a client that is
 *   connected, when the time of day is put forward between two of its heartbeats.
 */
interface Persistence {
  /** For Aedes' option `persistence`. */
  readonly store: object
  /** The filters that sessions are subscribed to, by client id, of absent clients too. */
  readonly storedFilters: ReadonlyMap<string, ReadonlySet<string>>
  /** Forgets the session of a client that is not connected. */
  forget(clientId: string): void
  /** Takes one filter out of the session of a client. */
  readonly forgetSubscription: (client: Client, filter: string) => void
}

interface PersistenceDependencies {
  readonly queues: SubscriberQueues
  /** Of `sessions.ts`. */
  readonly hasSession: (clientId: string) => boolean
  /**
   * Whether the session of this client keeps the filter: it is not over, and the filter was granted.
   * Aedes hands on those that were refused too.
   */
  readonly keepsFilter: (client: Client, filter: string) => boolean
  /** The handshakes of the client's session or connection. */
  readonly receivedOf: (client: Client) => ReceivedIds | undefined
  /** Whether the client may get messages of this topic; one that is absent is asked about later. */
  readonly mayReceive: (clientId: string, topic: string) => boolean
  /** A message was not kept, for so many subscribers. */
  readonly notKept: (count: number) => void
}

export function createPersistence(dependencies: PersistenceDependencies): Persistence {
  const { queues, notKept } = dependencies
  const memory = new AsyncPersistence()
  const ofSessions = createSubscriptions(memory, dependencies)

  async function enqueue(
    subscriptions: readonly { readonly clientId: string }[],
    packet: StoredPacket,
  ): Promise<void> {
    // Two filters of one client may match, and it gets the message once for each of them.
    const { topic } = packet as PublishPacket
    const clientIds = subscriptions.map(({ clientId }) => clientId)
    // What is never forwarded would fill the queue. A session may have ended since it was looked up.
    const receivers = clientIds.filter(
      (clientId) => dependencies.hasSession(clientId) && dependencies.mayReceive(clientId, topic),
    )
    const count = queues.enqueue(receivers, packet)
    if (count > 0) notKept(count)
  }

  function forget(clientId: string): void {
    const client = { id: clientId } as Client
    queues.forget(clientId)
    ofSessions.clean(client)
  }

  const forgetSubscription = (client: Client, filter: string) =>
    void ofSessions.store.removeSubscriptions(client, [filter])

  const store = {
    // Aedes insists on an async function here.
    setup: async (broker: unknown) => memory.setup(broker),
    destroy: () => memory.destroy(),

    storeRetained: nothing,
    createRetainedStream: () => Readable.from([]),
    createRetainedStreamCombi: () => Readable.from([]),

    ...ofSessions.store,
    getClientList: (topic: string) => memory.getClientList(topic),

    outgoingEnqueue: (subscription: { readonly clientId: string }, packet: StoredPacket) =>
      enqueue([subscription], packet),
    outgoingEnqueueCombi: enqueue,
    // A packet that was not kept is sent all the same, so that is no error here.
    async outgoingUpdate(client: Client, packet: StoredPacket) {
      queues.update(client.id, packet)
    },
    outgoingClearMessageId: async (client: Client, { messageId = 0 }: StoredPacket) =>
      queues.acknowledge(client.id, messageId),
    outgoingStream: (client: Client) => Readable.from(queues.list(client.id)),

    ...createHandshakes(dependencies),

    putWill: nothing,
    getWill: nothing,
    delWill: nothing,
    streamWill: () => Readable.from([]),
  }
  return { store, forget, forgetSubscription, storedFilters: ofSessions.filtersOf }
}

// Aedes insists on promises.
const nothing = async () => undefined

/** QoS 2: Aedes asks of a PUBLISH whether it is a duplicate, and of a PUBREL whether it knows it. */
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
    // They go with the session or the connection that they are of.
    cleanIncoming: nothing,
  }
}

/**
 * Stands among the filters of a session that has none. Aedes takes a session without filters for
 * none at all; see `grantSubscription` for how it is left out again.
 */
export const sessionMarker: Subscription = Object.freeze({ topic: 'session', qos: 0 })

/** The subscriptions of sessions, with their filters at hand: Aedes' store answers too late. */
function createSubscriptions(
  memory: AsyncPersistence,
  { keepsFilter, hasSession }: PersistenceDependencies,
) {
  const filtersOf = new Map<string, Set<string>>()
  const store = {
    addSubscriptions(client: Client, subscriptions: readonly Subscription[]) {
      const granted = subscriptions.filter(({ topic }) => keepsFilter(client, topic))
      const known = filtersOf.get(client.id) ?? new Set()
      for (const { topic } of granted) known.add(topic)
      if (known.size > 0) filtersOf.set(client.id, known)
      return memory.addSubscriptions(client, granted)
    },
    removeSubscriptions(client: Client, filters: string[]) {
      const known = filtersOf.get(client.id)
      for (const filter of filters) known?.delete(filter)
      if (known?.size === 0) filtersOf.delete(client.id)
      return memory.removeSubscriptions(client, filters)
    },
    /** Asked once, for the CONNACK: "session present" is whether there are any. */
    async subscriptionsByClient(client: Client) {
      // Before anything can change: the connection has resumed its session in this turn.
      if (!hasSession(client.id)) return []
      const stored = await memory.subscriptionsByClient(client)
      return stored.length > 0 ? stored : [sessionMarker]
    },
    subscriptionsByTopic: (topic: string) => memory.subscriptionsByTopic(topic),
    countOffline: () => memory.countOffline(),
    // Aedes asks for it before a connection with a clean session is accepted, which may not come to
    // pass; the session ends when it is.
    cleanSubscriptions: nothing,
  }
  function clean(client: Client): void {
    filtersOf.delete(client.id)
    // It cannot fail in memory.
    void memory.cleanSubscriptions(client)
  }
  return { store, clean, filtersOf }
}
