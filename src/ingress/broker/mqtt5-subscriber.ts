import type { Aedes, AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { RetainedMessages } from '../kept/retained-messages.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { createDelivery } from '../mqtt5/delivery.ts'
import { matchOptions } from '../mqtt5/matched-options.ts'
import type { Delivery } from '../mqtt5/delivery.ts'
import type { Mqtt5Handlers } from '../mqtt5/client-packets.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5-connection.ts'
import type { SubscriptionOptions, Subscribe, Unsubscribe } from '../mqtt5/packets-in.ts'
import { suback, unsuback } from '../mqtt5/packets-out.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import type { Member, Outlet } from '../sharing/member.ts'
import type { SharedSubscriptions } from '../sharing/shared-subscriptions.ts'
import { isShared } from '../../topics/shared-filter.ts'
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
  /** The same with QoS 1. @param acknowledged called at its PUBACK */
  sendConfirmed(packet: PublishPacket, acknowledged: () => void): void
  /** That of a granted filter. */
  qosOf(filter: string): 0 | 1 | 2 | undefined
  /** Messages that were sent to the client, and those of QoS 1 and 2 that are not answered. */
  readonly messagesOut: number
  readonly unanswered: number
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
  /** Undefined when the subscriptions of the client are not on disk. */
  readonly subscriptionsFlushed: (client: Client) => Promise<void> | undefined
  /** A retained message is not sent. */
  readonly notKept: () => void
  readonly shared: SharedSubscriptions
}

/** The client, and what the broker decides about it. */
export interface SubscribingClient {
  readonly client: Client
  readonly protocol: Mqtt5Connection
  readonly granted: Set<string>
  /**
   * @param isResumed the filter is of the session that is resumed
   * @returns why a filter is refused; undefined when it is granted
   */
  grant(filter: string, isResumed: boolean): { readonly code: number } | undefined
  mayForward(topic: string): boolean
  /** Those of the filters for which retained messages are sent. */
  retainedFilters(filters: readonly string[]): readonly string[]
  /** The client does not get what it asked for. */
  narrowed(reason: string, detail: string): void
  /** Makes the client a member of groups. */
  memberWith(outlet: Outlet): Member
  /** Ends the connection for a SUBSCRIBE that the profile does not have. */
  refuseIdentifiers(): void
  /** Ends the connection because its subscriptions cannot be written to disk. */
  endNotDurable(): void
}

interface SubscriberOptions {
  readonly profile: Profile
  readonly filtersPerSubscribeMax: number
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

interface Joined extends SubscriptionOptions {
  /** One for each filter: the broker tells subscriptions apart by it. */
  readonly deliver: Deliver
}

/** The filters of the client at the broker. */
interface Filters {
  readonly subscriptions: ReadonlyMap<string, SubscriptionOptions>
  join(filter: string, options: SubscriptionOptions): void
}

export function createMqtt5Subscriber(
  dependencies: Mqtt5SubscriberDependencies,
  subscriber: SubscribingClient,
  options: SubscriberOptions,
): Mqtt5Subscriber {
  return new ConnectedSubscriber(dependencies, subscriber, options)
}

/** A class, because thousands of clients are connected: its functions are not made for each. */
class ConnectedSubscriber implements Mqtt5Subscriber, Filters {
  readonly subscriptions = new Map<string, Joined>()
  private readonly dependencies: Mqtt5SubscriberDependencies
  private readonly subscriber: SubscribingClient
  private readonly options: SubscriberOptions
  /** CONNACK is sent. */
  private hasBegun = false
  /** Made for the first message: most clients of a large fleet get none for hours. */
  private delivery: Delivery | undefined
  /** Made for the first shared subscription. */
  private member: Member | undefined

  constructor(
    dependencies: Mqtt5SubscriberDependencies,
    subscriber: SubscribingClient,
    options: SubscriberOptions,
  ) {
    this.dependencies = dependencies
    this.subscriber = subscriber
    this.options = options
  }

  begin(): void {
    const { storedFilters, queues } = this.dependencies
    const { subscriber } = this
    const { id } = subscriber.client
    this.hasBegun = true
    const shared: Subscription[] = []
    for (const stored of storedFilters.get(id)?.values() ?? []) {
      if (subscriber.grant(stored.topic, true) !== undefined) continue
      if (isShared(stored.topic)) shared.push(stored)
      else this.join(stored.topic, optionsOf(stored))
    }
    if (queues.list(id).length > 0) this.open().resume()
    // The queue of the session comes first, under the packet ids that it had.
    for (const stored of shared) this.join(stored.topic, optionsOf(stored))
  }

  send(packet: PublishPacket, sent: () => void): void {
    if (this.hasBegun) this.open().send(packet, sent)
    else sent()
  }

  sendConfirmed(packet: PublishPacket, acknowledged: () => void): void {
    if (this.hasBegun) this.open().sendConfirmed(packet, acknowledged)
  }

  qosOf(filter: string): 0 | 1 | 2 | undefined {
    return this.subscriptions.get(filter)?.qos
  }

  get messagesOut(): number {
    return this.delivery?.messagesOut() ?? 0
  }

  get unanswered(): number {
    return this.delivery?.unanswered() ?? 0
  }

  end(): void {
    for (const filter of this.subscriptions.keys()) this.leave(filter)
  }

  subscribe(request: Subscribe): void {
    const { dependencies, subscriber, options } = this
    const hasIdentifier = request.filters.some((each) => each.options.identifier !== undefined)
    if (hasIdentifier && !options.profile.hasSubscriptionIdentifiers) {
      subscriber.refuseIdentifiers()
      return
    }
    const isNew = request.filters.map(({ filter }) => !subscriber.granted.has(filter))
    const codes = subscribeTo(dependencies, subscriber, { ...options, filters: this }, request)
    const wanted = request.filters.filter((each, index) =>
      wantsRetained(each, codes[index], isNew[index]),
    )
    const names = wanted.map(({ filter }) => filter)
    this.whenFlushed(() => {
      subscriber.protocol.write(suback(request.packetId, codes))
      this.sendRetained(subscriber.retainedFilters(names))
    })
  }

  unsubscribe({ packetId, filters: names }: Unsubscribe): void {
    const { client, granted, protocol } = this.subscriber
    const codes = names.map((filter) => {
      const isKnown = granted.has(filter)
      this.leave(filter)
      this.dependencies.forgetSubscription(client, filter)
      return isKnown ? reasonCode.success : reasonCode.noSubscriptionExisted
    })
    this.whenFlushed(() => protocol.write(unsuback(packetId, codes)))
  }

  completed(packetId: number): void {
    this.delivery?.completed(packetId)
    this.member?.completed(packetId)
  }

  received(packetId: number): void {
    if (this.hasBegun) this.open().received(packetId)
  }

  join(filter: string, options: SubscriptionOptions): void {
    if (isShared(filter)) {
      this.member ??= this.subscriber.memberWith(this.open().outlet())
      this.dependencies.shared.join(this.member, filter, options)
      return
    }
    const known = this.subscriptions.get(filter)?.deliver
    const deliver: Deliver = known ?? ((packet, done) => this.deliver(packet, done))
    this.subscriptions.set(filter, { ...options, deliver })
    if (known === undefined) this.dependencies.broker.subscribe(filter, deliver, noAnswer)
  }

  private leave(filter: string): void {
    if (this.member !== undefined) this.dependencies.shared.leave(this.member, filter)
    const deliver = this.subscriptions.get(filter)?.deliver
    this.subscriptions.delete(filter)
    this.subscriber.granted.delete(filter)
    if (deliver !== undefined) this.dependencies.broker.unsubscribe(filter, deliver, noAnswer)
  }

  private deliver(packet: AedesPublishPacket, done: () => void): void {
    if (!this.hasBegun || this.subscriber.client.closed) done()
    else this.open().deliver(packet, done)
  }

  /** Answers once the subscriptions are on disk. */
  private whenFlushed(answer: () => void): void {
    const { dependencies, subscriber } = this
    const flushed = dependencies.subscriptionsFlushed(subscriber.client)
    if (flushed === undefined) return answer()
    const answerOpen = () => {
      if (!subscriber.client.closed) answer()
    }
    flushed.then(answerOpen, () => subscriber.endNotDurable())
  }

  private sendRetained(names: readonly string[]): void {
    if (!this.hasBegun || names.length === 0) return
    const { subscriber, subscriptions, dependencies, options } = this
    const { client } = subscriber
    const { filterMatches } = options.profile
    const delivery = () => this.open()
    const to = { client, delivery, subscriptions, filterMatches }
    sendRetained(dependencies.retained, to, names)
  }

  /** What delivers to the client: nothing may be delivered before `begin`. */
  private open(): Delivery {
    if (this.delivery !== undefined) return this.delivery
    const { subscriber, subscriptions, dependencies } = this
    const { client, protocol } = subscriber
    const { filterMatches, sendMaximum } = this.options.profile
    const { receiveMaximum: taken = 1, maximumPacketSize = Infinity } = protocol.connect ?? {}
    const receiveMaximum = Math.min(taken, sendMaximum)
    const mayForward = (topic: string) => subscriber.mayForward(topic)
    const parts = { ...dependencies, clientId: client.id, stream: client.conn }
    this.delivery = createDelivery(
      { ...parts, subscriptions, mayForward, filterMatches },
      { receiveMaximum, maximumPacketSize },
    )
    return this.delivery
  }
}

const noAnswer = (): void => {}

/** @returns the codes of SUBACK */
function subscribeTo(
  { storeSubscription }: Mqtt5SubscriberDependencies,
  subscriber: SubscribingClient,
  given: SubscriberOptions & { readonly filters: Filters },
  request: Subscribe,
): number[] {
  const { profile, filtersPerSubscribeMax, filters } = given
  if (request.filters.length > filtersPerSubscribeMax) {
    const detail = `a SUBSCRIBE of more than ${filtersPerSubscribeMax} filters is answered 0x97`
    subscriber.narrowed('too_many_filters', detail)
    return request.filters.map(() => reasonCode.quotaExceeded)
  }
  return request.filters.map(({ filter, options: asked }) => {
    const fault = subscriber.grant(filter, false)
    if (fault !== undefined) return fault.code
    const qos = asked.qos < profile.maximumQos ? asked.qos : profile.maximumQos
    if (qos < asked.qos) {
      subscriber.narrowed('qos_lowered', asOnAws(`QoS 2 for ${filter}`, 'grants QoS 1'))
    }
    const options = { ...asked, qos }
    filters.join(filter, options)
    storeSubscription(subscriber.client, storedOf(filter, options))
    return qos
  })
}

function sendRetained(
  retained: RetainedMessages,
  to: Pick<Filters, 'subscriptions'> & {
    readonly client: Client
    readonly delivery: () => Delivery
    readonly filterMatches: Profile['filterMatches']
  },
  names: readonly string[],
): void {
  const { client, delivery, subscriptions, filterMatches } = to
  const subscribed = new Map<string, SubscriptionOptions>()
  for (const name of names) {
    const options = subscriptions.get(name)
    if (options !== undefined) subscribed.set(name, options)
  }
  sendSnapshot(retained, names, {
    send(message, sent) {
      const options = matchOptions(subscribed, message.topic, filterMatches, false)
      if (options === undefined) sent()
      else delivery().retained(message, options, sent)
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
  if (code >= reasonCode.unspecified || isShared(filter)) return false
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
