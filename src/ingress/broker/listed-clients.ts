import type { Client } from 'aedes'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import type { Peer } from '../../identity/policies/access.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { parseSharedFilter } from '../../topics/shared-filter.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'

/** Lists connected clients. Everything is read when it is asked for. */
export interface ListedClients {
  /** A page of connected clients in the order of their ids by UTF-16 code units. */
  readonly listClients: (query: ClientQuery) => ClientPage
  /** Undefined for a client that is not connected. */
  readonly connectedClient: (clientId: string) => ConnectedClient | undefined
}

interface ClientQuery {
  /** Only clients whose ids begin with it. */
  readonly prefix?: string | undefined
  /**
   * Only clients with a subscription that gets messages of this topic; of a topic filter, those
   * that have subscribed to this very filter.
   */
  readonly topic?: string | undefined
  /** Only clients that come after this id. */
  readonly after?: string | undefined
  /** At least 1. */
  readonly max: number
}

interface ClientPage {
  readonly clients: readonly ConnectedClient[]
  /** The last client that was read; undefined when there are no more. */
  readonly last: string | undefined
  /** All connected clients, whatever the query asks for. */
  readonly connectedCount: number
}

export interface ConnectedClient {
  readonly clientId: string
  readonly protocolVersion: '3.1' | '3.1.1' | '5'
  readonly transport: Peer['transport']
  /** Certificate id, access key id or user; undefined if anonymous. */
  readonly principal: string | undefined
  readonly sourceIp: string | undefined
  /** In epoch milliseconds. */
  readonly connectedSinceMs: number
  /** In force; 0 is none. */
  readonly keepAliveSeconds: number
  /** Clean session of MQTT 3.1.1, clean start of MQTT 5. */
  readonly isCleanStart: boolean
  /** How long the session waits for the client when the connection is gone. */
  readonly sessionExpirySeconds: number
  readonly subscriptionCount: number
  /** Messages of QoS 1 and 2 that wait in the queue of its session. */
  readonly queued: number
  /** Messages of QoS 1 and 2 that were sent to it and are not acknowledged. */
  readonly inFlight: number
  /** PUBLISHes since it connected: of the client, and to it. */
  readonly messagesIn: number
  readonly messagesOut: number
}

interface ListedClientsDependencies {
  readonly connections: Pick<Connections, 'byId' | 'ids'>
  readonly queues: Pick<SubscriberQueues, 'countsOf'>
  readonly profile: Pick<Profile, 'filterMatches'>
}

/** Filters that one page compares with a topic: it may end before it is full. */
const comparedMax = 20_000

/** @param options `sessionExpiryMs`: of clients that cannot say it, those of MQTT 3.1.1 */
export function createListedClients(
  { connections, queues, profile }: ListedClientsDependencies,
  { sessionExpiryMs }: { readonly sessionExpiryMs: number },
): ListedClients {
  function connectedClient(clientId: string): ConnectedClient | undefined {
    const named = connections.byId(clientId)
    if (named === undefined) return undefined
    const sessionExpirySeconds = expirySecondsOf(named.connection, sessionExpiryMs)
    return { ...describe(named, queues.countsOf(clientId)), sessionExpirySeconds }
  }

  return {
    connectedClient,
    listClients({ prefix = '', topic, after, max }) {
      const all = [...connections.ids()]
      const ids = all
        .filter((id) => id.startsWith(prefix) && (after === undefined || id > after))
        .toSorted()
      const isWanted = topic === undefined ? () => true : gets(topic, profile)
      const clients: ConnectedClient[] = []
      let compared = 0
      let index = 0
      for (; index < ids.length && clients.length < max && compared < comparedMax; index++) {
        const id = ids[index] ?? ''
        const filters = connections.byId(id)?.connection.filters
        compared += filters?.size ?? 0
        const client = filters && isWanted(filters) ? connectedClient(id) : undefined
        if (client) clients.push(client)
      }
      const last = index < ids.length ? ids[index - 1] : undefined
      return { clients, last, connectedCount: all.length }
    },
  }
}

function gets(topic: string, { filterMatches }: Pick<Profile, 'filterMatches'>) {
  const isFilter = /[+#]/.test(topic) || topic.startsWith('$share/')
  return (filters: ReadonlySet<string>): boolean => {
    if (filters.has(topic)) return true
    for (const filter of filters) {
      const plain = parseSharedFilter(filter)?.filter ?? filter
      if (isFilter ? plain === topic : filterMatches(plain, topic)) return true
    }
    return false
  }
}

function describe(
  { client, connection }: { readonly client: Client; readonly connection: Connection },
  ofQueue: ReturnType<SubscriberQueues['countsOf']>,
): Omit<ConnectedClient, 'sessionExpirySeconds'> {
  const { peer, mqtt5, subscriber, permissions, filters } = connection
  return {
    clientId: client.id,
    protocolVersion: mqtt5 ? '5' : versionOf(client),
    transport: peer.transport,
    principal: permissions?.principal,
    sourceIp: peer.sourceIp,
    connectedSinceMs: connection.connectedSinceMs,
    keepAliveSeconds: connection.keepAliveSeconds,
    isCleanStart: mqtt5 ? mqtt5.connect?.cleanStart !== false : client.clean,
    subscriptionCount: filters.size,
    queued: ofQueue.unsent,
    inFlight: subscriber?.unanswered ?? ofQueue.sent,
    messagesIn: connection.messagesIn,
    messagesOut: connection.messagesOut + (subscriber?.messagesOut ?? 0),
  }
}

/** How long the session of a connected client waits for it, in seconds; 0: it has none. */
export function expirySecondsOf(
  { mqtt5, session }: Pick<Connection, 'mqtt5' | 'session'>,
  sessionExpiryMs: number,
): number {
  return mqtt5?.sessionExpirySeconds ?? (session === undefined ? 0 : sessionExpiryMs / 1_000)
}

/** Aedes keeps the protocol level of the CONNECT, which its declared type leaves out. */
const versionOf = (client: Client): '3.1' | '3.1.1' =>
  (client as Client & { readonly version: number }).version === 3 ? '3.1' : '3.1.1'
