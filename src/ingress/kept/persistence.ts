import { Readable } from 'node:stream'
import type { Client, PublishPacket, Subscription } from 'aedes'
import AsyncPersistence from 'aedes-persistence/asyncPersistence.js'
import type { RetainedMessages } from './retained-messages.ts'
import type { StoredPacket, SubscriberQueues } from './subscriber-queues.ts'

/**
 * What Aedes remembers beyond a connection, in memory. Its own store keeps subscriptions, QoS 2
 * handshakes and wills; retained messages and the queues of subscribers, which have no bound there,
 * are ours.
 */
export interface Persistence {
  /** For Aedes' option `persistence`. */
  readonly store: object
  /** Whether the session of any client, connected or not, holds a subscription. */
  readonly hasSubscriptions: () => boolean
  /** Forgets the session of a client that is not connected. */
  forget(clientId: string): void
  /** Takes one filter out of the session of a client. */
  readonly forgetSubscription: (client: Client, filter: string) => void
}

export interface PersistenceDeps {
  readonly retained: RetainedMessages
  readonly queues: SubscriberQueues
  /** Whether the client was granted this filter: Aedes hands on those that were refused too. */
  readonly isGranted: (client: Client, filter: string) => boolean
  /** Whether the client may get messages of this topic; one that is absent is asked about later. */
  readonly mayReceive: (clientId: string, topic: string) => boolean
  /** A message was not kept, for so many subscribers. */
  readonly notKept: (reason: 'retained_full' | 'queue_full', count: number) => void
}

export function createPersistence(deps: PersistenceDeps): Persistence {
  const { retained, queues, notKept } = deps
  const memory = new AsyncPersistence()
  const ofSessions = createSubscriptions(memory, deps)

  async function enqueue(
    subscriptions: readonly { readonly clientId: string }[],
    packet: StoredPacket,
  ): Promise<void> {
    // Two filters of one client may match, and it gets the message once for each of them.
    const { topic } = packet as PublishPacket
    const clientIds = subscriptions.map(({ clientId }) => clientId)
    // What is never forwarded would fill the queue.
    const receivers = clientIds.filter((clientId) => deps.mayReceive(clientId, topic))
    const count = queues.enqueue(receivers, packet)
    if (count > 0) notKept('queue_full', count)
  }

  function forget(clientId: string): void {
    const client = { id: clientId } as Client
    // Neither can fail in memory.
    void ofSessions.store.cleanSubscriptions(client)
    void memory.cleanIncoming(client)
  }

  const forgetSubscription = (client: Client, filter: string) =>
    void ofSessions.store.removeSubscriptions(client, [filter])

  const store = {
    // Aedes insists on an async function here.
    setup: async (broker: unknown) => memory.setup(broker),
    destroy: () => memory.destroy(),

    async storeRetained(packet: PublishPacket) {
      if (!retained.store(packet)) notKept('retained_full', 1)
    },
    createRetainedStream: (filter: string) => retainedStream(retained, [filter]),
    createRetainedStreamCombi: (filters: readonly string[]) => retainedStream(retained, filters),

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

    incomingStorePacket: (client: Client, packet: StoredPacket) =>
      memory.incomingStorePacket(client, withoutPayload(packet)),
    incomingGetPacket: (client: Client, packet: StoredPacket) =>
      memory.incomingGetPacket(client, packet),
    incomingDelPacket: (client: Client, packet: StoredPacket) =>
      memory.incomingDelPacket(client, packet),
    cleanIncoming: (client: Client) => memory.cleanIncoming(client),

    putWill: (client: Client, packet: StoredPacket) => memory.putWill(client, packet),
    getWill: (client: Client) => memory.getWill(client),
    delWill: (client: Client) => memory.delWill(client),
    streamWill: (brokers?: Brokers) => memory.streamWill(brokers),
  }
  return { store, forget, forgetSubscription, hasSubscriptions: ofSessions.any }
}

/** The subscriptions of sessions, and whether there are any: Aedes' store tells that too late. */
function createSubscriptions(memory: AsyncPersistence, { isGranted, queues }: PersistenceDeps) {
  const filtersOf = new Map<string, Set<string>>()
  const store = {
    addSubscriptions(client: Client, subscriptions: readonly Subscription[]) {
      const granted = subscriptions.filter(({ topic }) => isGranted(client, topic))
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
    subscriptionsByClient: (client: Client) => memory.subscriptionsByClient(client),
    subscriptionsByTopic: (topic: string) => memory.subscriptionsByTopic(topic),
    countOffline: () => memory.countOffline(),
    async cleanSubscriptions(client: Client) {
      queues.forget(client.id)
      filtersOf.delete(client.id)
      await memory.cleanSubscriptions(client)
    },
  }
  return { store, any: () => filtersOf.size > 0 }
}

type Brokers = Parameters<AsyncPersistence['streamWill']>[0]

function retainedStream(retained: RetainedMessages, filters: readonly string[]): Readable {
  const packets = function* () {
    for (const { topic, payload, qos } of retained.matching(filters)) {
      yield { cmd: 'publish', topic, payload, qos, retain: true, dup: false }
    }
  }
  return Readable.from(packets())
}

/** Aedes only asks whether the packet id is known: up to 1,000 payloads a client for nothing. */
function withoutPayload(packet: StoredPacket): StoredPacket {
  return packet.cmd === 'publish' ? { ...packet, payload: empty } : packet
}

const empty = Buffer.alloc(0)
