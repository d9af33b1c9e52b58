import type { Aedes, AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { RetainedMessages } from '../kept/retained-messages.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { createDelivery } from '../mqtt5/delivery.ts'
import { matchOptions } from '../mqtt5/matched-options.ts'
import type { Delivery } from '../mqtt5/delivery.ts'
import type { Mqtt5Handlers } from '../mqtt5/client-packets.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5-connection.ts'
import type { SubscriptionOptions, Subscribe } from '../mqtt5/packets-in.ts'
import { suback, unsuback } from '../mqtt5/packets-out.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import { sendSnapshot } from './retained-delivery.ts'

/**
 * The subscriptions of one client of MQTT 5. Aedes distributes messages to them, but does not know
 * whose they are: their options, their queue and what is sent for them are not those of MQTT 3.1.1.
 */
export interface Mqtt5Subscriber extends Mqtt5Handlers {
  /** CONNACK is sent: takes up the subscriptions and the queue of the session. */
  begin(): void
  /** Sends one message of QoS 0 to which the client need not be subscribed. */
  send(packet: PublishPacket, sent: () => void): void
  /** The connection is gone. */
  end(): void
}

export interface Mqtt5SubscriberDependencies {
  readonly broker: Pick<Aedes, 'subscribe' | 'unsubscribe'>
  readonly retained: RetainedMessages
  readonly queues: SubscriberQueues
  readonly clock: Clock
  /** The subscriptions of sessions. */
  readonly storedFilters: ReadonlyMap<string, ReadonlyMap<string, Subscription>>
  readonly storeSubscription: (client: Client, subscription: Subscription) => void
  readonly forgetSubscription: (client: Client, filter: string) => void
  /** A retained message is not sent. */
  readonly notKept: () => void
}

/** The client, and what the broker decides about it. */
interface Subscriber {
  readonly client: Client
  readonly protocol: () => Mqtt5Connection
  /**
   * @param isResumed the filter is of the session that is resumed
   * @returns why a filter is refused; undefined when it is granted
   */
  readonly grant: (filter: string, isResumed: boolean) => { readonly code: number } | undefined
  readonly granted: Set<string>
  readonly mayForward: (topic: string) => boolean
  /** Those of the filters for which retained messages are sent. */
  readonly retainedFilters: (filters: readonly string[]) => readonly string[]
  /** The client does not get what it asked for. */
  readonly narrowed: (reason: string, detail: string) => void
  /** Ends the connection for a SUBSCRIBE that the profile does not have. */
  readonly refuseIdentifiers: () => void
}

interface SubscriberOptions {
  readonly profile: Profile
  readonly filtersPerSubscribeMax: number
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

export function createMqtt5Subscriber(
  dependencies: Mqtt5SubscriberDependencies,
  subscriber: Subscriber,
  options: SubscriberOptions,
): Mqtt5Subscriber {
  const { client, protocol, granted } = subscriber
  let delivery: Delivery | undefined
  const deliver: Deliver = (packet, done) => {
    if (delivery === undefined || client.closed) done()
    else delivery.deliver(packet, done)
  }
  const filters = createFilters(dependencies.broker, granted, deliver)
  const { filterMatches } = options.profile
  const retainedTo = (names: readonly string[]) => {
    if (delivery !== undefined && names.length > 0)
      sendRetained(dependencies.retained, { client, delivery, filters, filterMatches }, names)
  }

  return {
    begin() {
      const { receiveMaximum: taken = 1, maximumPacketSize = Infinity } = protocol().connect ?? {}
      const receiveMaximum = Math.min(taken, options.profile.sendMaximum)
      const { subscriptions } = filters
      const { mayForward } = subscriber
      const parts = { ...dependencies, clientId: client.id, stream: client.conn }
      delivery = createDelivery(
        { ...parts, subscriptions, mayForward, filterMatches },
        { receiveMaximum, maximumPacketSize },
      )
      for (const stored of dependencies.storedFilters.get(client.id)?.values() ?? []) {
        if (subscriber.grant(stored.topic, true) === undefined)
          filters.join(stored.topic, optionsOf(stored))
      }
      delivery.resume()
    },
    send(packet, sent) {
      if (delivery === undefined) sent()
      else delivery.send(packet, sent)
    },
    end() {
      for (const filter of filters.subscriptions.keys()) filters.leave(filter)
    },
    subscribe(request) {
      const hasIdentifier = request.filters.some((each) => each.options.identifier !== undefined)
      if (hasIdentifier && !options.profile.hasSubscriptionIdentifiers) {
        subscriber.refuseIdentifiers()
        return
      }
      const isNew = request.filters.map(({ filter }) => !granted.has(filter))
      const codes = subscribeTo(dependencies, subscriber, { ...options, filters }, request)
      protocol().write(suback(request.packetId, codes))
      const wanted = request.filters.filter((each, index) =>
        wantsRetained(each, codes[index], isNew[index]),
      )
      const names = wanted.map(({ filter }) => filter)
      retainedTo(subscriber.retainedFilters(names))
    },
    unsubscribe({ packetId, filters: names }) {
      const codes = names.map((filter) => {
        const isKnown = granted.has(filter)
        filters.leave(filter)
        dependencies.forgetSubscription(client, filter)
        return isKnown ? reasonCode.success : reasonCode.noSubscriptionExisted
      })
      protocol().write(unsuback(packetId, codes))
    },
    completed: (packetId) => delivery?.completed(packetId),
    received: (packetId) => delivery?.received(packetId),
  }
}

/** The filters of the client at the broker. */
interface Filters {
  readonly subscriptions: ReadonlyMap<string, SubscriptionOptions>
  readonly join: (filter: string, options: SubscriptionOptions) => void
  readonly leave: (filter: string) => void
}

function createFilters(
  broker: Mqtt5SubscriberDependencies['broker'],
  granted: Set<string>,
  to: Deliver,
): Filters {
  const subscriptions = new Map<string, SubscriptionOptions>()
  const delivers = new Map<string, Deliver>()
  return {
    subscriptions,
    join(filter, options) {
      subscriptions.set(filter, options)
      if (delivers.has(filter)) return
      // A function for each filter: the broker tells subscriptions apart by it.
      const deliver = to.bind(undefined)
      delivers.set(filter, deliver)
      broker.subscribe(filter, deliver, () => {})
    },
    leave(filter) {
      const deliver = delivers.get(filter)
      delivers.delete(filter)
      subscriptions.delete(filter)
      granted.delete(filter)
      if (deliver !== undefined) broker.unsubscribe(filter, deliver, () => {})
    },
  }
}

/** @returns the codes of SUBACK */
function subscribeTo(
  { storeSubscription }: Mqtt5SubscriberDependencies,
  { grant, client, narrowed }: Subscriber,
  given: SubscriberOptions & { readonly filters: Filters },
  request: Subscribe,
): number[] {
  const { profile, filtersPerSubscribeMax, filters } = given
  if (request.filters.length > filtersPerSubscribeMax) {
    const detail = `a SUBSCRIBE of more than ${filtersPerSubscribeMax} filters is answered 0x97`
    narrowed('too_many_filters', detail)
    return request.filters.map(() => reasonCode.quotaExceeded)
  }
  return request.filters.map(({ filter, options: asked }) => {
    const fault = grant(filter, false)
    if (fault !== undefined) return fault.code
    const qos = asked.qos < profile.maximumQos ? asked.qos : profile.maximumQos
    if (qos < asked.qos) narrowed('qos_lowered', asOnAws(`QoS 2 for ${filter}`, 'grants QoS 1'))
    const options = { ...asked, qos }
    filters.join(filter, options)
    storeSubscription(client, storedOf(filter, options))
    return qos
  })
}

function sendRetained(
  retained: RetainedMessages,
  to: {
    readonly client: Client
    readonly delivery: Delivery
    readonly filters: Filters
    readonly filterMatches: Profile['filterMatches']
  },
  names: readonly string[],
): void {
  const { client, delivery, filters, filterMatches } = to
  const subscribed = new Map<string, SubscriptionOptions>()
  for (const name of names) {
    const options = filters.subscriptions.get(name)
    if (options !== undefined) subscribed.set(name, options)
  }
  sendSnapshot(retained, names, {
    send(message, sent) {
      const options = matchOptions(subscribed, message.topic, filterMatches, false)
      if (options === undefined) sent()
      else delivery.retained(message, options, sent)
    },
    isClosed: () => client.closed,
  })
}

/** Retained messages do not come for a shared subscription, MQTT 5 section 4.8.2. */
function wantsRetained(
  { filter, options }: Subscribe['filters'][number],
  code = reasonCode.unspecified as number,
  isNew = false,
): boolean {
  if (code >= reasonCode.unspecified || filter.startsWith('$share/')) return false
  return options.retainHandling === 0 || (options.retainHandling === 1 && isNew)
}

interface StoredSubscription extends Subscription {
  subscriptionIdentifier?: number
}

function storedOf(topic: string, options: SubscriptionOptions): Subscription {
  const stored: StoredSubscription = {
    topic,
    qos: options.qos,
    nl: options.noLocal,
    rap: options.retainAsPublished,
    rh: options.retainHandling,
  }
  if (options.identifier !== undefined) stored.subscriptionIdentifier = options.identifier
  return stored
}

/** A subscription of MQTT 3.1.1 has none of the options. */
function optionsOf(stored: StoredSubscription): SubscriptionOptions {
  return {
    qos: stored.qos,
    noLocal: stored.nl === true,
    retainAsPublished: stored.rap === true,
    retainHandling: (stored.rh ?? 0) as SubscriptionOptions['retainHandling'],
    identifier: stored.subscriptionIdentifier,
  }
}
