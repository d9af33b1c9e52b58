import type { Aedes, Client, PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { Message } from '../../message.ts'
import type { HeldPublish } from '../gate/held-bytes.ts'
import type { Relay, RelayInterest } from '../relay/relay.ts'
import { relayPacket } from './relayed-packets.ts'
import { carriedBy, carryProperties } from '../kept/carried-properties.ts'
import type { Keep, Keeping } from '../kept/keeping.ts'
import { isBasicIngest } from '../../topics/topic.ts'
import type { Connection } from './connection.ts'

/** Hands messages to subscribers through Aedes. */
export type Proceed = (error?: Error) => void
/** Aedes' `publish` as its own code calls it; its declared type leaves the client out. */
export type Distribute = (
  packet: PublishPacket,
  client: Client | Proceed | null,
  done?: Proceed,
) => void

export interface DistributingDependencies {
  /** Aedes' own `publish`, bound. */
  readonly distribute: Distribute
  /** Who may get messages. */
  readonly receivers: Receivers
  /** Puts messages on disk. Absent: what is kept is in memory alone. */
  readonly prepareKeep?: Keeping['prepare'] | undefined
  readonly connectionOf: (client: Client) => Connection | undefined
  /** Undefined: there are no other nodes. */
  readonly relay?: Relay | undefined
  readonly clock: Clock
  /** Called when something that `close` may wait for is finished. */
  readonly finished: () => void
}

/** A PUBLISH that is not finished. */
export interface Publish {
  readonly packet: PublishPacket
  readonly held: HeldPublish
}

export function finish(
  { gate, answers }: Connection,
  { packet, held }: Publish,
  finished: () => void,
): void {
  gate.finish(held)
  if (packet.qos === 2) answers.answered()
  finished()
}

/**
 * Looks whether a message has to be on disk before its publisher is answered.
 *
 * @param publisher the client id
 */
export function prepareKeep(
  { prepareKeep: prepare, receivers }: Pick<DistributingDependencies, 'prepareKeep' | 'receivers'>,
  packet: PublishPacket,
  publisher: string | undefined,
): Keep | undefined {
  if (prepare === undefined || packet.qos === 0) return undefined
  if ((!packet.retain && !receivers.anySession()) || isBasicIngest(packet.topic)) return undefined
  return prepare(packet, publisher)
}

/** Wraps Aedes' `publish`, so that a PUBLISH is finished when it is distributed. */
export function createDistribute(
  dependencies: DistributingDependencies,
  isRefused: (packet: object) => boolean,
): Distribute {
  return (packet, clientOrDone, maybeDone) => {
    const [client, done] =
      typeof clientOrDone === 'function' ? [null, clientOrDone] : [clientOrDone, maybeDone]
    const connection = client ? dependencies.connectionOf(client) : undefined
    if (connection?.mqtt5) {
      if (isRefused(packet)) return done?.()
      // For No Local; Aedes sets it only after the queues of sessions have the message.
      ;(packet as { clientId?: string | undefined }).clientId = client?.id
    }
    if (dependencies.relay) relayPacket(dependencies.relay, packet, client?.id, dependencies.clock)
    const held = connection?.undistributed.get(packet)
    connection?.undistributed.delete(packet)
    if (held) connection?.gate.distributing(held)
    // DUP describes the transfer from the publisher, not those to subscribers, [MQTT-3.3.1-3].
    packet.dup = false
    const keep = carriedBy(packet)?.keep
    if (keep !== undefined) connection?.keeps?.delete(keep)
    const distributed: Proceed = (error) => {
      done?.(error)
      keep?.settle()
      if (connection && held) finish(connection, { packet, held }, dependencies.finished)
    }
    if (isForSubscribers(packet, dependencies.receivers))
      dependencies.distribute(packet, client, distributed)
    else distributed()
  }
}

/** Aedes itself needs messages on topics that begin with a dollar sign, and retained ones. */
function isForSubscribers({ topic, retain }: PublishPacket, receivers: Receivers): boolean {
  // No client can subscribe to these, but the stored filter `#` of an absent client would match.
  if (isBasicIngest(topic)) return false
  return retain || topic.startsWith('$') || receivers.any()
}

/**
 * Whether any client may get a message. Devices that feed streams often have no subscriber at all,
 * and looking for one in Aedes costs as much as a rule: two searches, two promises and a copy.
 */
interface Receivers {
  any(): boolean
  /** Whether a session, perhaps of an absent client, is subscribed to anything. */
  anySession(): boolean
}

/**
 * Watches a broker's `subscribe` and `unsubscribe`, which all subscriptions of connected clients
 * pass, those of a resumed session too. Each is identified by the function that delivers to it, so
 * that nothing has to be counted up and down.
 *
 * @param storedFilters the filters of sessions, empty while no absent client is subscribed
 * @param interest is told which filters clients have
 */
export function watchReceivers(
  broker: Aedes,
  storedFilters: { readonly size: number },
  interest?: RelayInterest,
): Receivers {
  const delivering = new Set<unknown>()
  const wanted = interest && countWanted(interest)
  const subscribe = broker.subscribe.bind(broker)
  const unsubscribe = broker.unsubscribe.bind(broker)
  broker.subscribe = (topic, deliver, done) => {
    delivering.add(deliver)
    wanted?.add(topic, deliver)
    subscribe(topic, deliver, done)
  }
  broker.unsubscribe = (topic, deliver, done) => {
    delivering.delete(deliver)
    wanted?.remove(topic, deliver)
    unsubscribe(topic, deliver, done)
  }
  return {
    any: () => delivering.size > 0 || storedFilters.size > 0,
    anySession: () => storedFilters.size > 0,
  }
}

/** Tells of each subscription once, however often it is made or ended. */
function countWanted({ want, unwant }: RelayInterest) {
  const topics = new Map<unknown, Set<string>>()
  return {
    add(topic: string | string[], deliver: unknown): void {
      const known = topics.get(deliver) ?? new Set()
      topics.set(deliver, known)
      for (const each of [topic].flat()) {
        if (!known.has(each)) want(each)
        known.add(each)
      }
    },
    remove(topic: string | string[], deliver: unknown): void {
      const known = topics.get(deliver)
      for (const each of [topic].flat()) if (known?.delete(each)) unwant(each)
      if (known?.size === 0) topics.delete(deliver)
    },
  }
}

/** A message that did not come through Aedes, for Aedes. */
export function packetOf(
  message: Pick<Message, 'topic' | 'payload' | 'qos' | 'retain' | 'mqtt5'>,
  clock: Clock,
): PublishPacket {
  const { topic, payload, qos, retain } = message
  const packet: PublishPacket = { cmd: 'publish', topic, payload, qos, retain, dup: false }
  carryProperties(packet, message.mqtt5, clock.monotonicMs())
  return packet
}

/** Hands a packet that did not come through Aedes to the subscribers. */
export function distributePacket(distribute: Distribute, packet: PublishPacket): Promise<void> {
  return new Promise((resolve, reject) => {
    distribute(packet, null, (error) => (error ? reject(error) : resolve()))
  })
}

/** Sends a message of QoS 0 to one client, subscribed or not; it is dropped where there is none. */
export function sendTo(
  to: { readonly client: Client; readonly connection: Connection } | undefined,
  message: Message,
): Promise<void> {
  if (to === undefined) return Promise.resolve()
  const { topic, payload } = message
  const packet: PublishPacket = {
    cmd: 'publish',
    topic,
    payload,
    qos: 0,
    retain: false,
    dup: false,
  }
  const { client, connection } = to
  return new Promise((resolve) => {
    if (connection.subscriber === undefined) client.publish(packet, () => resolve())
    else connection.subscriber.send(packet, () => resolve())
  })
}
