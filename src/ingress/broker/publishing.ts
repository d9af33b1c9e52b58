import type { Aedes, Client, PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { Message, MessageSender } from '../../message.ts'
import { SluiceError, shorten } from '../../base/errors.ts'
import type { Permissions } from '../../identity/policies/access.ts'
import type { Connection } from './connection.ts'
import { createIngesting, messageFrom } from './ingesting.ts'
import type { IngestingDependencies } from './ingesting.ts'
import { frameBytes } from '../gate/frames.ts'
import type { HeldPublish } from '../gate/held-bytes.ts'
import { isBasicIngest } from '../../topics/topic.ts'

/**
 * Takes a PUBLISH to its answer. Aedes calls `authorize` for each PUBLISH and will, in order of
 * arrival, and continues when `proceed` is called: QoS 0 distributes; QoS 1 writes PUBACK, then
 * distributes; QoS 2 looks for a duplicate, stores, distributes, writes PUBREC. So calling
 * `proceed` acknowledges the message, and it waits for `ingest`.
 *
 * A message of QoS 0 that the engine does not take is dropped for the rules and still distributed:
 * it has no answer, and subscribers do not depend on the state of a stream.
 *
 * A PUBLISH is finished, and the gate may pass another one, when Aedes has distributed it, or at
 * once if Aedes never will (Basic Ingest, and duplicates of QoS 2). Aedes does not report a PUBLISH
 * of QoS 1 whose PUBACK could not be written; it is not distributed, and ends with its connection.
 */
export interface Publishing {
  /** For Aedes' `authorizePublish`. Never throws; calls `proceed` exactly once. */
  readonly authorize: (client: Client | null, packet: PublishPacket, proceed: Proceed) => void
  /** For Aedes' `publish`, which distributes every message. */
  readonly distribute: Distribute
  /** Ingests and distributes a message that did not come through Aedes. */
  publish(message: Message, from?: MessageSender): Promise<void>
  /** Only distributes a message, whose records are durable already. */
  distributeMessage(message: Message): Promise<void>
  /** How many ingests of wills and of `publish` are under way. */
  readonly underway: number
}

type Proceed = (error?: Error) => void
/** Why a message is not durable; undefined where it is. */
type Fault = { readonly cause: unknown } | undefined
/** Aedes' `publish` as its own code calls it; its declared type leaves the client out. */
export type Distribute = (
  packet: PublishPacket,
  client: Client | Proceed | null,
  done?: Proceed,
) => void

interface PublishingDependencies extends IngestingDependencies {
  readonly clock: Clock
  /** Aedes' own `publish`, bound. */
  readonly distribute: Distribute
  /** Who may get messages. */
  readonly receivers: Receivers
  readonly connectionOf: (client: Client) => Connection | undefined
  /** Called when something that `close` may wait for is finished. */
  readonly finished: () => void
}

/** Disconnects the client without an answer, so that it sends the message again. */
export const notIngested = new Error('the message could not be made durable')
/** The connection is gone, so there is no client to answer. */
export const connectionGone = new Error('the connection closed before the answer')

/** The will was prevented when the client was disconnected, or the client may not publish it. */
const willPrevented = new Error('the will is not to be published')

/** Whether the policies allow a PUBLISH or a will. */
export function mayPublish(
  permissions: Permissions,
  { topic, retain }: { readonly topic: string; readonly retain: boolean },
): boolean {
  return permissions.mayPublish(topic) && (!retain || permissions.mayRetain(topic))
}

export function createPublishing(dependencies: PublishingDependencies): Publishing {
  const { clock } = dependencies
  const ingesting = createIngesting(dependencies)
  let underway = 0

  async function ingestUnderway(message: Message, from?: MessageSender): Promise<void> {
    underway++
    try {
      await ingesting.ingest(message, from)
      ingesting.acknowledged(message.transport, message.qos)
    } catch (cause) {
      ingesting.failed(message, cause)
      throw cause
    } finally {
      underway--
      dependencies.finished()
    }
  }

  function authorizeWill(sender: Sender, packet: PublishPacket, proceed: Proceed): void {
    if (!mayPublishWill(dependencies, sender, packet)) return proceed(willPrevented)
    const message = messageFrom(packet, senderOf(sender), clock)
    ingestUnderway(message).then(
      () => proceed(),
      () => proceed(notIngested),
    )
  }

  function authorizePublish(sender: Sender, packet: PublishPacket, proceed: Proceed): void {
    const { client, connection } = sender
    const { qos, topic } = packet
    const publish: Publish = { packet, held: connection.gate.dispatched(bytesOf(packet)) }
    const { permissions } = connection
    if (connection.isForbidden || !permissions || !mayPublish(permissions, packet)) {
      return forbid(dependencies, connection, { publish, topic, proceed })
    }
    const ingest = (waiting: MessageSender) =>
      ingesting.ingest(messageFrom(packet, senderOf(sender), clock), waiting)
    const outcome =
      qos === 2 ? connection.received.ingestOnce(packet, connection, ingest) : ingest(connection)
    const answer = (fault: Fault) => {
      if (fault !== undefined && qos > 0) {
        ingesting.failed({ clientId: client.id, topic, qos }, fault.cause)
        return refuse(connection, publish, proceed, notIngested)
      }
      if (client.closed && qos > 0) return refuse(connection, publish, proceed, connectionGone)
      if (fault === undefined) ingesting.acknowledged('mqtt', qos)
      else ingesting.dropped({ clientId: client.id, topic, qos }, fault.cause)
      return acknowledge(connection, publish, proceed, dependencies.finished)
    }
    connection.answers.onFailure ??= (cause) => endForRoom(client, cause)
    connection.answers.add(outcome, answer, qos > 0)
  }

  return {
    authorize(client, packet, proceed) {
      const connection = client ? dependencies.connectionOf(client) : undefined
      if (client === null || connection === undefined) proceed(connectionGone)
      else if (isFromWire(packet)) authorizePublish({ client, connection }, packet, proceed)
      else authorizeWill({ client, connection }, packet, proceed)
    },
    distribute: createDistribute(dependencies),
    async publish(message, from) {
      await ingestUnderway(message, from)
      if (message.basicIngestRule === undefined)
        await distributeMessage(dependencies.distribute, message)
    },
    distributeMessage: (message) => distributeMessage(dependencies.distribute, message),
    get underway() {
      return underway
    },
  }
}

/** The will was allowed when the client connected, but policies may have changed since. */
function mayPublishWill(
  { metrics, log }: PublishingDependencies,
  { client, connection }: Sender,
  packet: PublishPacket,
): boolean {
  const { isWillPrevented, permissions, gate, isForbidden } = connection
  if (isWillPrevented || permissions === undefined) return false
  // A DISCONNECT drops the will, unless a forbidden PUBLISH ended the connection before it.
  if (gate.hasDisconnect && !isForbidden) return false
  if (mayPublish(permissions, packet)) return true
  const reason = publishForbiddenReason
  const topic = shorten(packet.topic, topicLogMax)
  metrics.messagesRejected.inc({ reason })
  log.warn(
    'will_forbidden',
    { reason, clientId: client.id, topic },
    'a will is not allowed any more',
  )
  return false
}

/** What rules know of the sender of a message. */
function senderOf({ client, connection }: Sender) {
  return {
    clientId: client.id,
    sourceIp: connection.peer.sourceIp,
    principal: connection.permissions?.principal,
  }
}

interface Sender {
  readonly client: Client
  readonly connection: Connection
}

/** A PUBLISH that is not finished. */
interface Publish {
  readonly packet: PublishPacket
  readonly held: HeldPublish
}

const bytesOf = (packet: PublishPacket): number => frameBytes(packet.length ?? 0)

/** A will is part of a CONNECT and no packet of its own. */
const isFromWire = (packet: { readonly cmd?: string }): boolean => packet.cmd === 'publish'

/** Lets Aedes disconnect the client, after the answers before it have left Aedes' buffers. */
function refuse(
  connection: Connection,
  { held }: Publish,
  proceed: Proceed,
  reason: Error,
): 'pending' {
  setImmediate(() => {
    proceed(reason)
    connection.gate.finish(held)
    connection.answers.answered()
  })
  return 'pending'
}

/**
 * Ends the connection at once when there is no room for a message: earlier ones may wait for room
 * for long, and what stands behind them would hold memory of all clients meanwhile.
 */
function endForRoom(client: Client, cause: unknown): boolean {
  if (!(cause instanceof SluiceError && cause.code === 'OutboxFull')) return false
  client.close()
  return true
}

/**
 * Ends the connection without an answer at every QoS, as AWS does, but after the answers to earlier
 * messages. Later messages of the client are not taken either.
 */
function forbid(
  { metrics }: PublishingDependencies,
  connection: Connection,
  { publish, topic, proceed }: { publish: Publish; topic: string; proceed: Proceed },
): void {
  const isFirst = !connection.isForbidden
  const reason = isFirst ? publishForbidden(topic) : connectionGone
  if (isFirst) metrics.messagesRejected.inc({ reason: publishForbiddenReason })
  connection.isForbidden = true
  connection.gate.hold()
  const answer = () => refuse(connection, publish, proceed, reason)
  connection.answers.add(Promise.resolve(), answer, false)
}

const publishForbiddenReason = 'publish_forbidden'
const topicLogMax = 300

/** The error that Aedes reports, and the broker logs, when it ends the connection. */
function publishForbidden(topic: string): Error {
  const detail = `no policy allows to publish to ${JSON.stringify(shorten(topic, topicLogMax))}`
  return Object.assign(new Error(detail), { reason: publishForbiddenReason })
}

/** Lets Aedes answer; later messages of the client wait for a PUBREC, which Aedes writes last. */
function acknowledge(
  connection: Connection,
  publish: Publish,
  proceed: Proceed,
  finished: () => void,
): 'done' | 'pending' {
  const { packet, held } = publish
  connection.undistributed.set(packet, held)
  connection.gate.answering(held)
  proceed()
  if (packet.qos !== 2) return 'done'
  // The store of packet ids answers within the tick. A message that is not being distributed by now
  // is a duplicate, and has its PUBREC.
  setImmediate(() => {
    if (connection.undistributed.delete(packet)) finish(connection, publish, finished)
  })
  return 'pending'
}

function finish(
  { gate, answers }: Connection,
  { packet, held }: Publish,
  finished: () => void,
): void {
  gate.finish(held)
  if (packet.qos === 2) answers.answered()
  finished()
}

/** Wraps Aedes' `publish`, so that a PUBLISH is finished when it is distributed. */
function createDistribute(dependencies: PublishingDependencies): Distribute {
  return (packet, clientOrDone, maybeDone) => {
    const [client, done] =
      typeof clientOrDone === 'function' ? [null, clientOrDone] : [clientOrDone, maybeDone]
    const connection = client ? dependencies.connectionOf(client) : undefined
    const held = connection?.undistributed.get(packet)
    connection?.undistributed.delete(packet)
    if (held) connection?.gate.distributing(held)
    // DUP describes the transfer from the publisher, not those to subscribers, [MQTT-3.3.1-3].
    packet.dup = false
    const distributed: Proceed = (error) => {
      done?.(error)
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
}

/**
 * Watches a broker's `subscribe` and `unsubscribe`, which all subscriptions of connected clients
 * pass, those of a resumed session too. Each is identified by the function that delivers to it, so
 * that nothing has to be counted up and down.
 *
 * @param storedFilters the filters of sessions, empty while no absent client is subscribed
 */
export function watchReceivers(broker: Aedes, storedFilters: { readonly size: number }): Receivers {
  const delivering = new Set<unknown>()
  const subscribe = broker.subscribe.bind(broker)
  const unsubscribe = broker.unsubscribe.bind(broker)
  broker.subscribe = (topic, deliver, done) => {
    delivering.add(deliver)
    subscribe(topic, deliver, done)
  }
  broker.unsubscribe = (topic, deliver, done) => {
    delivering.delete(deliver)
    unsubscribe(topic, deliver, done)
  }
  return { any: () => delivering.size > 0 || storedFilters.size > 0 }
}

/** Hands a message to the subscribers, and no rule sees it. */
export function distributeMessage(distribute: Distribute, message: Message): Promise<void> {
  const { topic, payload, qos, retain } = message
  const packet: PublishPacket = { cmd: 'publish', topic, payload, qos, retain, dup: false }
  return new Promise((resolve, reject) => {
    distribute(packet, null, (error) => (error ? reject(error) : resolve()))
  })
}

/** Sends a message of QoS 0 to one client, subscribed or not; it is dropped where there is none. */
export function sendTo(client: Client | undefined, message: Message): Promise<void> {
  if (client === undefined) return Promise.resolve()
  const { topic, payload } = message
  const packet: PublishPacket = {
    cmd: 'publish',
    topic,
    payload,
    qos: 0,
    retain: false,
    dup: false,
  }
  return new Promise((resolve) => client.publish(packet, () => resolve()))
}
