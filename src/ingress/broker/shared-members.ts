import type { Aedes, Client, Subscription } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { isShared } from '../../topics/shared-filter.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { createMember } from '../sharing/member.ts'
import type { Member, Outlet } from '../sharing/member.ts'
import type { SharedSubscriptions } from '../sharing/shared-subscriptions.ts'
import type { Connection } from './connection.ts'
import { createMqtt311Outlet } from './mqtt311-outlet.ts'

/** Lets clients be members of the groups of shared subscriptions. */
export interface SharedMembers {
  readonly gone: (connection: Connection) => void
}

interface SharedMembersDependencies {
  readonly broker: Aedes
  readonly shared: SharedSubscriptions
  readonly queues: SubscriberQueues
  readonly clock: Clock
  readonly connectionOf: (client: Client) => Connection | undefined
  readonly storedFilters: ReadonlyMap<string, ReadonlyMap<string, Subscription>>
}

/**
 * Messages of groups that a client of MQTT 3.1.1 gets before it acknowledges one of them: AWS IoT
 * has as many unacknowledged for one client. Such a client cannot say how many it takes.
 */
const unansweredMax = 100
/** The return code of SUBACK for a refused subscription. */
const refused = 0x80

/** The member that stands for a connection. */
export function memberOf(
  client: Client,
  connection: Connection,
  outlet: {
    readonly unansweredMax: number
    readonly outletFor: (isAwaited: Member['isAwaited']) => Outlet
  },
): Member {
  const { session } = connection
  connection.member ??= createMember({
    ...outlet,
    clientId: client.id,
    session: session?.received,
    sessionExpiryMs: sessionExpiryMs(connection),
    mayReceive: (topic, group) => mayReceiveShared(connection, topic, group),
  })
  return connection.member
}

/** What the client does not say is bounded elsewhere. */
function sessionExpiryMs({ session, mqtt5 }: Connection): number {
  if (mqtt5 !== undefined) return mqtt5.sessionExpirySeconds * 1_000
  return session === undefined ? 0 : Infinity
}

/** AWS's own policies name the topic, or the topic behind `$share/<group>/`. */
function mayReceiveShared({ permissions }: Connection, topic: string, group: string): boolean {
  if (permissions === undefined) return false
  return permissions.mayReceive(topic) || permissions.mayReceive(`$share/${group}/${topic}`)
}

export function createSharedMembers(dependencies: SharedMembersDependencies): SharedMembers {
  const { broker, shared, connectionOf, storedFilters } = dependencies

  function join(client: Client, connection: Connection, { topic, qos }: Subscription): void {
    const outletFor = (isAwaited: Member['isAwaited']) =>
      createMqtt311Outlet({ ...dependencies, connection }, client, isAwaited)
    const member = memberOf(client, connection, { unansweredMax, outletFor })
    shared.join(member, topic, { qos, retainAsPublished: false, identifier: undefined })
  }

  // Subscriptions of MQTT 5 do not pass Aedes.
  broker.on('subscribe', (subscriptions, client) => {
    for (const subscription of subscriptions) {
      if (!isShared(subscription.topic) || (subscription.qos as number) === refused) continue
      const connection = connectionOf(client)
      if (connection !== undefined && !client.closed) join(client, connection, subscription)
    }
  })
  broker.on('unsubscribe', (filters, client) => {
    const member = connectionOf(client)?.member
    // Aedes also unsubscribes for a client that goes.
    if (member === undefined || client.closed) return
    for (const filter of filters) shared.leave(member, filter)
  })

  // CONNACK and the queue of the session are sent.
  broker.on('clientReady', (client) => {
    const connection = connectionOf(client)
    if (connection === undefined || connection.mqtt5 !== undefined || client.clean) return
    for (const subscription of storedFilters.get(client.id)?.values() ?? []) {
      const { topic } = subscription
      if (isShared(topic) && connection.filters.has(topic)) join(client, connection, subscription)
    }
  })

  return {
    gone({ member }) {
      if (member !== undefined) shared.gone(member)
    },
  }
}
