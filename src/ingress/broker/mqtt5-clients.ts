import type { Client, PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Message } from '../../message.ts'
import { createMqtt5Connection } from '../mqtt5/mqtt5-connection.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5-connection.ts'
import type { ClientPacketsOptions, Mqtt5Handlers } from '../mqtt5/client-packets.ts'
import type { Subscribe, Unsubscribe } from '../mqtt5/packets-in.ts'
import type { Mqtt5Will } from '../mqtt5/connect.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import type { GateFault } from '../gate/gate.ts'
import { carryProperties } from '../kept/carried-properties.ts'
import type { RetainedFilters } from './retained-delivery.ts'
import { grantFilter } from './broker.ts'
import type { SubscriptionLimits } from './broker.ts'
import type { Connection } from './connection.ts'
import type { DelayedWills } from './delayed-wills.ts'
import { mayReceive } from './forwarding.ts'
import { messageFrom } from './ingesting.ts'
import type { LifecycleEvents } from './lifecycle-events.ts'
import { createMqtt5Subscriber } from './mqtt5-subscriber.ts'
import type { ReportNarrowed } from './narrowing.ts'
import type { Mqtt5SubscriberDependencies, SubscribingClient } from './mqtt5-subscriber.ts'
import { mayPublish } from './publishing.ts'
import { memberOf } from './shared-members.ts'
import type { Member, Outlet } from '../sharing/member.ts'

/** Puts the translation of MQTT 5 between the gates of such clients and Aedes. */
export interface Mqtt5Clients {
  /**
   * A CONNECT of MQTT 5 has come.
   *
   * @param end ends the connection for this fault
   */
  readonly open: (
    client: Client,
    connection: Connection,
    end: (fault: GateFault) => void,
  ) => Mqtt5Connection
  /** The connection is gone: its subscriptions end, and its will is published or held back. */
  readonly gone: (client: Client, connection: Connection) => void
}

interface Mqtt5ClientsDependencies extends Mqtt5SubscriberDependencies {
  readonly log: LimitedLog
  readonly clock: Clock
  readonly wills: DelayedWills
  readonly events: LifecycleEvents
  readonly profile: Profile
  readonly narrowed: ReportNarrowed
  readonly retainedFilters: RetainedFilters
  /** Publishes a will as if its client had. */
  readonly publish: (message: Message) => Promise<void>
}

type Mqtt5ClientsOptions = ClientPacketsOptions &
  SubscriptionLimits & { readonly filtersPerSubscribeMax: number }

const identifiersRefused: GateFault = Object.freeze({
  reason: 'subscription_identifier',
  detail: asOnAws('a Subscription Identifier', 'has none and answers 0xA1'),
  reasonCode: reasonCode.subscriptionIdsNotSupported,
})

export function createMqtt5Clients(
  dependencies: Mqtt5ClientsDependencies,
  options: Mqtt5ClientsOptions,
): Mqtt5Clients {
  const { clock, wills, publish } = dependencies
  const shared: Shared = { dependencies, options }

  function publishWill(client: Client, connection: Connection, will: Mqtt5Will): void {
    const { permissions, peer } = connection
    // The will was allowed when the client connected, but policies may have changed since.
    if (permissions === undefined || !mayPublish(permissions, will)) return
    const packet: PublishPacket = { ...will, cmd: 'publish', dup: false }
    carryProperties(packet, will.mqtt5, clock.monotonicMs())
    const { sourceIp } = peer
    const { principal } = permissions
    const message = messageFrom(packet, { clientId: client.id, sourceIp, principal }, clock)
    // A failure is reported where it is found.
    publish(message).catch(() => {})
  }

  return {
    open(client, connection, end) {
      const translated = new TranslatedClient(shared, client, connection, end)
      connection.mqtt5 = translated.protocol
      connection.subscriber = createMqtt5Subscriber(dependencies, translated, options)
      return translated.protocol
    },
    gone(client, connection) {
      const { mqtt5, subscriber } = connection
      if (mqtt5 === undefined) return
      subscriber?.end()
      const { will, sessionExpirySeconds } = mqtt5
      if (will === undefined || !connection.counted || connection.isWillPrevented) return
      wills.gone(client.id, will, sessionExpirySeconds, () => publishWill(client, connection, will))
    },
  }
}

interface Shared {
  readonly dependencies: Mqtt5ClientsDependencies
  readonly options: Mqtt5ClientsOptions
}

/**
 * What a connection of MQTT 5 asks of the broker, and what its subscriptions do. A class, because
 * thousands of them are open: its functions are not made for each.
 */
class TranslatedClient implements Mqtt5Handlers, SubscribingClient {
  readonly client: Client
  readonly protocol: Mqtt5Connection
  private readonly connection: Connection
  private readonly shared: Shared
  private readonly end: (fault: GateFault) => void

  constructor(
    shared: Shared,
    client: Client,
    connection: Connection,
    end: (fault: GateFault) => void,
  ) {
    this.shared = shared
    this.client = client
    this.connection = connection
    this.end = end
    const { dependencies, options } = shared
    this.protocol = createMqtt5Connection({ clock: dependencies.clock, client: this }, options)
  }

  get granted(): Set<string> {
    return this.connection.filters
  }

  write(bytes: Buffer): void {
    this.connection.gate.stream.write(bytes)
  }

  subscribe(request: Subscribe): void {
    this.connection.subscriber?.subscribe(request)
    const filters = request.filters.map(({ filter }) => filter)
    this.shared.dependencies.events.subscribed(this.client, this.connection, filters)
  }

  unsubscribe(request: Unsubscribe): void {
    this.connection.subscriber?.unsubscribe(request)
    const { events } = this.shared.dependencies
    events.unsubscribed(this.client, this.connection, request.filters)
  }

  completed(packetId: number): void {
    this.connection.subscriber?.completed(packetId)
  }

  received(packetId: number): void {
    this.connection.subscriber?.received(packetId)
  }

  grant(filter: string, isResumed: boolean): { readonly code: number } | undefined {
    const { dependencies, options } = this.shared
    const { client, connection } = this
    return grantFilter(dependencies, options, { client, connection, isResumed }, filter)
  }

  mayForward(topic: string): boolean {
    return mayReceive(this.connection, topic, this.shared.dependencies.profile)
  }

  retainedFilters(filters: readonly string[]): readonly string[] {
    return this.shared.dependencies.retainedFilters(this.client.id, filters)
  }

  narrowed(reason: string, detail: string): void {
    this.shared.dependencies.narrowed(reason, this.client.id, detail)
  }

  memberWith(outlet: Outlet): Member {
    const options = { unansweredMax: Infinity, outletFor: () => outlet }
    return memberOf(this.client, this.connection, options)
  }

  refuseIdentifiers(): void {
    this.end(identifiersRefused)
  }

  endNotDurable(): void {
    this.protocol.endWith(reasonCode.implementationSpecific)
    this.client.close()
  }
}
