import type { Client, PublishPacket } from 'aedes'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import type { Message } from '../../message.ts'
import { isGroupKey } from '../kept/group-queues.ts'
import { carryProperties } from '../kept/carried-properties.ts'
import type { Sessions } from '../kept/sessions.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { normalizeAddress } from './connection.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import { createListedClients, expirySecondsOf } from './listed-clients.ts'
import type { ListedClients } from './listed-clients.ts'
import { createDirectMessages } from './direct-messages.ts'
import type { DirectOutcome, DirectMessagesDependencies } from './direct-messages.ts'
import { mayReceive } from './forwarding.ts'
import { disconnectReasonOf } from './lifecycle-events.ts'

/** What operators ask about one client and do to it: AWS IoT's operations on connections. */
export interface ManagedClients extends ListedClients {
  /**
   * Ends the connection of a client.
   *
   * @returns whether it was connected
   */
  readonly disconnect: (clientId: string, options?: DisconnectOptions) => Promise<boolean>
  /** A client that is connected or has been within half an hour; undefined for any other. */
  readonly connection: (clientId: string) => ConnectionState | undefined
  /**
   * The subscriptions of a client that is connected or has a session, in the order of their filters
   * by UTF-16 code units; undefined for any other client.
   */
  readonly subscriptions: (clientId: string) => readonly GrantedFilter[] | undefined
  /**
   * Sends a message to one connected client, whether it is subscribed or not. No rule sees it, and
   * it is not queued.
   *
   * @param confirmMs how long to wait for PUBACK to QoS 1; absent: QoS 0, and no answer is awaited
   */
  readonly sendDirect: (message: DirectMessage, confirmMs?: number) => Promise<DirectOutcome>
}

interface DisconnectOptions {
  /** Discards the session of the client, even if the client is not connected. */
  readonly cleanSession?: boolean | undefined
  readonly preventWillMessage?: boolean | undefined
}

/** Times are in epoch milliseconds. */
interface ConnectionState {
  readonly isClean: boolean
  /** How long the session waits for the client when the connection is gone. */
  readonly sessionExpirySeconds: number
  /** In force. */
  readonly keepAliveSeconds: number
  /** Absent when the connection has ended. */
  readonly socket?: SocketAddresses | undefined
  readonly connectedSinceMs: number
  /** Absent while it is connected. */
  readonly ended?: { readonly atMs: number; readonly reason: string } | undefined
}

interface SocketAddresses {
  readonly sourceIp?: string | undefined
  readonly sourcePort?: number | undefined
  readonly targetIp?: string | undefined
  readonly targetPort?: number | undefined
}

interface GrantedFilter {
  readonly filter: string
  readonly qos: 0 | 1 | 2
}

type DirectMessage = Pick<Message, 'topic' | 'payload' | 'mqtt5'> & {
  readonly receiver: string
}

interface ManagedClientsDependencies extends DirectMessagesDependencies {
  readonly connections: Connections
  readonly sessions: Sessions
  readonly queues: SubscriberQueues
  /** The subscriptions of sessions. */
  readonly storedFilters: ReadonlyMap<string, ReadonlyMap<string, { readonly qos: 0 | 1 | 2 }>>
  readonly clock: Clock
  readonly profile: Profile
}

/** AWS tells of a connection for as long after its end. */
const rememberedMs = 1_800_000
/** Connections that have ended; of more, those that ended first are forgotten. */
const endedMax = 10_000

export function createManagedClients(
  dependencies: ManagedClientsDependencies,
  { sessionExpiryMs }: { readonly sessionExpiryMs: number },
): ManagedClients & { readonly gone: (client: Client, connection: Connection) => void } {
  const { connections, sessions, storedFilters, clock } = dependencies
  const ended = createBoundedMap<string, ConnectionState>(endedMax)
  const stateOf = (connection: Connection): ConnectionState => {
    const sessionExpirySeconds = expirySecondsOf(connection, sessionExpiryMs)
    return {
      isClean: sessionExpirySeconds === 0,
      sessionExpirySeconds,
      keepAliveSeconds: connection.keepAliveSeconds,
      connectedSinceMs: connection.connectedSinceMs,
    }
  }

  return {
    ...createListedClients(dependencies, { sessionExpiryMs }),
    async disconnect(clientId, { cleanSession = false, preventWillMessage = false } = {}) {
      // First, so that a connection that comes meanwhile is told that the session is gone.
      if (cleanSession && !isGroupKey(clientId)) sessions.discard(clientId)
      const named = connections.byId(clientId)
      if (named === undefined) return false
      named.connection.isWillPrevented = preventWillMessage
      named.connection.endReason ??= 'API_INITIATED_DISCONNECT'
      named.connection.mqtt5?.endWith(reasonCode.administrativeAction)
      await new Promise<void>((resolve) => named.client.close(resolve))
      return true
    },
    connection(clientId) {
      const named = connections.byId(clientId)
      if (named !== undefined) {
        const { connection } = named
        return { ...stateOf(connection), socket: addressesOf(connection) }
      }
      const state = ended.get(clientId)
      const atMs = state?.ended?.atMs ?? 0
      return clock.wallMs() - atMs < rememberedMs ? state : undefined
    },
    subscriptions(clientId) {
      const named = connections.byId(clientId)
      const stored = storedFilters.get(clientId)
      if (named === undefined && (!sessions.has(clientId) || isGroupKey(clientId))) return undefined
      const filters = named?.connection.filters ?? stored?.keys() ?? []
      return [...filters].toSorted(byCodeUnits).map((filter) => ({
        filter,
        qos: grantedQos(named, filter) ?? stored?.get(filter)?.qos ?? 0,
      }))
    },
    sendDirect: createSendDirect(dependencies),
    gone({ id }, connection) {
      if (!connection.counted) return
      const reason = disconnectReasonOf(connection)
      ended.set(id, { ...stateOf(connection), ended: { atMs: clock.wallMs(), reason } })
    },
  }
}

function createSendDirect(dependencies: ManagedClientsDependencies): ManagedClients['sendDirect'] {
  const { connections, clock, profile } = dependencies
  const direct = createDirectMessages(dependencies)
  return async ({ receiver, topic, payload, mqtt5 }, confirmMs) => {
    const named = connections.byId(receiver)
    if (named === undefined) return 'notConnected'
    if (!mayReceive(named.connection, topic, profile)) return 'notAllowed'
    const packet: PublishPacket = {
      cmd: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos: confirmMs === undefined ? 0 : 1,
      retain: false,
      dup: false,
    }
    carryProperties(packet, mqtt5, clock.monotonicMs())
    return direct.send(named, packet, confirmMs)
  }
}

/** A proxy between hides the port of the client. */
function addressesOf({ socket, peer: { sourceIp } }: Connection): SocketAddresses {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  return {
    sourceIp,
    sourcePort: normalizeAddress(remoteAddress) === sourceIp ? remotePort : undefined,
    targetIp: normalizeAddress(localAddress),
    targetPort: localPort,
  }
}

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1)

type Named = NonNullable<ReturnType<Connections['byId']>>

/** Aedes knows the subscriptions of MQTT 3.1.1 alone. */
function grantedQos(named: Named | undefined, filter: string): 0 | 1 | 2 | undefined {
  if (named === undefined) return undefined
  const { subscriber } = named.connection
  if (subscriber !== undefined) return subscriber.qosOf(filter)
  const { subscriptions } = named.client as Client & {
    readonly subscriptions: Readonly<Record<string, { readonly qos: 0 | 1 | 2 } | undefined>>
  }
  return subscriptions[filter]?.qos
}
