import type { Client, PublishPacket } from 'aedes'
import type { Message, MessageSender } from '../../message.ts'
import { SluiceError, shorten } from '../../base/errors.ts'
import type { Permissions } from '../../identity/policies/access.ts'
import type { Connection } from './connection.ts'
import { createIngesting, messageFrom } from './ingesting.ts'
import type { IngestingDependencies } from './ingesting.ts'
import { frameBytes } from '../gate/frames.ts'
import { carriedBy } from '../kept/carried-properties.ts'
import type { Keep } from '../kept/keeping.ts'
import {
  createDistribute,
  distributePacket,
  finish,
  packetOf,
  prepareKeep,
} from './distributing.ts'
import type { Distribute, DistributingDependencies, Proceed, Publish } from './distributing.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import type { RelayedMessage } from '../relay/relay.ts'
import { relayedPacket, relayPacket } from './relayed-packets.ts'
import type { Refusal } from '../mqtt5/incoming-publish.ts'
import { createRefusedPublishes } from './refused-publishes.ts'

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
  /** Hands a message of another node to the subscribers here. Rejects when it cannot be kept. */
  distributeRelayed(message: RelayedMessage): {
    readonly isKept: Promise<void>
    readonly distribute: () => Promise<void>
  }
  /** Only distributes a message, whose records are durable already; see `Ingress.distribute`. */
  distributeMessage(message: Message, kept?: (fault?: unknown) => void): Promise<void>
  /** How many ingests of wills and of `publish` are under way. */
  readonly underway: number
}

/** Why a message is not durable; undefined where it is. */
type Fault = { readonly cause: unknown } | undefined

type PublishingDependencies = IngestingDependencies & DistributingDependencies

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
  const refusals = createRefusedPublishes(dependencies)
  const underway = createUnderway(ingesting, dependencies.finished)

  function authorizeWill(sender: Sender, packet: PublishPacket, proceed: Proceed): void {
    if (!mayPublishWill(dependencies, sender, packet)) return proceed(willPrevented)
    const message = messageFrom(packet, senderOf(sender), clock)
    underway.ingest(message, prepareKeep(dependencies, packet, sender.client.id)).then(
      () => proceed(),
      () => proceed(notIngested),
    )
  }

  function authorizePublish(sender: Sender, packet: PublishPacket, proceed: Proceed): void {
    const { client, connection } = sender
    connection.messagesIn++
    const unsound = connection.mqtt5?.receive(packet)
    const { qos, topic } = packet
    const publish: Publish = { packet, held: connection.gate.dispatched(bytesOf(packet)) }
    const isForbidden = unsound === undefined && !isAllowed(connection, packet)
    const refusal = isForbidden ? forbiddenRefusal(connection, packet) : unsound
    if (refusal !== undefined) return refusals.refuse(sender, { publish, proceed, refusal })
    if (isForbidden) return forbid(dependencies, connection, { publish, topic, proceed })
    const ingest = (waiting: MessageSender) =>
      ingesting.ingest(messageFrom(packet, senderOf(sender), clock), waiting)
    const taken =
      qos === 2 ? connection.received.ingestOnce(packet, connection, ingest) : ingest(connection)
    const keep = prepareKeep(dependencies, packet, client.id)
    const outcome = keep === undefined ? taken : keepWhenTaken(connection, packet, keep, taken)
    const answer = (fault: Fault) => {
      if (fault === undefined && client.closed && qos > 0) {
        keep?.settle()
        return refuse(connection, publish, proceed, connectionGone)
      }
      if (fault === undefined) ingesting.acknowledged('mqtt', qos)
      else if (qos === 0) ingesting.dropped({ clientId: client.id, topic, qos }, fault.cause)
      else return fail(sender, fault.cause, { publish, proceed, ingesting })
      return acknowledge(connection, publish, proceed, dependencies.finished)
    }
    connection.answers.onFailure ??= (cause) => endForRoom(sender, cause)
    connection.answers.add(outcome, answer, qos > 0)
  }

  return {
    authorize(client, packet, proceed) {
      const connection = client ? dependencies.connectionOf(client) : undefined
      if (client === null || connection === undefined) proceed(connectionGone)
      else if (isFromWire(packet)) authorizePublish({ client, connection }, packet, proceed)
      else authorizeWill({ client, connection }, packet, proceed)
    },
    distribute: createDistribute(dependencies, refusals.isRefused),
    ...createMessagePublishing(dependencies, underway),
    get underway() {
      return underway.count
    },
  }
}

/** Messages that did not come through Aedes. */
function createMessagePublishing(
  dependencies: PublishingDependencies,
  underway: ReturnType<typeof createUnderway>,
): Pick<Publishing, 'publish' | 'distributeMessage' | 'distributeRelayed'> {
  const { clock, relay } = dependencies

  /** Hands it to the subscribers here and at other nodes. */
  function handOn(packet: PublishPacket): Promise<void> {
    if (relay) relayPacket(relay, packet, undefined, clock)
    return distributePacket(dependencies.distribute, packet)
  }

  return {
    async publish(message, from) {
      if (message.basicIngestRule !== undefined) return underway.ingest(message, undefined, from)
      const packet = packetOf(message, clock)
      const keep = prepareKeep(dependencies, packet, undefined)
      await underway.ingest(message, keep, from)
      await handOn(packet)
    },
    async distributeMessage(message, kept) {
      const packet = packetOf(message, clock)
      await writeKeep(prepareKeep(dependencies, packet, undefined), kept)
      await handOn(packet)
    },
    distributeRelayed({ publisher, ...message }) {
      const packet = relayedPacket(packetOf({ ...message, retain: false }, clock), publisher)
      const isKept = writeKeep(prepareKeep(dependencies, packet, publisher), undefined)
      return { isKept, distribute: () => distributePacket(dependencies.distribute, packet) }
    },
  }
}

async function writeKeep(
  keep: Keep | undefined,
  kept: ((fault?: unknown) => void) | undefined,
): Promise<void> {
  try {
    if (keep !== undefined) await keep.write()
  } catch (thrown) {
    kept?.(thrown)
    throw thrown
  }
  kept?.()
}

/** Ingests wills and messages of `publish`, and counts those under way. */
function createUnderway(ingesting: ReturnType<typeof createIngesting>, finished: () => void) {
  let count = 0
  return {
    get count() {
      return count
    },
    async ingest(message: Message, keep: Keep | undefined, from?: MessageSender): Promise<void> {
      count++
      try {
        await ingesting.ingest(message, from)
        await keep?.write()
        ingesting.acknowledged(message.transport, message.qos)
      } catch (cause) {
        ingesting.failed(message, cause)
        throw cause
      } finally {
        count--
        finished()
      }
    },
  }
}

/** Only what the engine has taken is kept. A duplicate of QoS 2 is not kept again. */
async function keepWhenTaken(
  { received }: Connection,
  packet: PublishPacket,
  keep: Keep,
  taken: Promise<void>,
): Promise<void> {
  await taken
  if (packet.qos < 2 || !received.isDistributed(packet)) await keep.write()
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

/** The message is not durable: the connection ends without its answer. */
function fail(
  { client, connection }: Sender,
  cause: unknown,
  { publish, proceed, ingesting }: FailedPublish,
): 'pending' {
  const { topic, qos } = publish.packet
  ingesting.failed({ clientId: client.id, topic, qos }, cause)
  connection.mqtt5?.endWith(codeOfFailure(cause))
  return refuse(connection, publish, proceed, notIngested)
}

interface FailedPublish {
  readonly publish: Publish
  readonly proceed: Proceed
  readonly ingesting: ReturnType<typeof createIngesting>
}

/**
 * Ends the connection at once when there is no room for a message: earlier ones may wait for room
 * for long, and what stands behind them would hold memory of all clients meanwhile.
 */
function endForRoom({ client, connection }: Sender, cause: unknown): boolean {
  if (!(cause instanceof SluiceError && cause.code === 'OutboxFull')) return false
  connection.mqtt5?.endWith(codeOfFailure(cause))
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
  connection.mqtt5?.endWith(reasonCode.notAuthorized)
  connection.gate.hold()
  const answer = () => refuse(connection, publish, proceed, reason)
  connection.answers.add(Promise.resolve(), answer, false)
}

export const publishForbiddenReason = 'publish_forbidden'
const topicLogMax = 300

/** The error that Aedes reports, and the broker logs, when it ends the connection. */
function publishForbidden(topic: string): Error {
  const detail = `no policy allows to publish to ${JSON.stringify(shorten(topic, topicLogMax))}`
  return Object.assign(new Error(detail), { reason: publishForbiddenReason })
}

/**
 * Why the connection of a client of MQTT 5 ends when its message is not durable. A negative PUBACK
 * would make the client drop the message.
 */
const codeOfFailure = (cause: unknown): number =>
  cause instanceof SluiceError && cause.code === 'OutboxFull'
    ? reasonCode.quotaExceeded
    : reasonCode.implementationSpecific

const isAllowed = ({ isForbidden, permissions }: Connection, packet: PublishPacket): boolean =>
  !isForbidden && permissions !== undefined && mayPublish(permissions, packet)

/** Only MQTT 5 can say it, and not of QoS 0. Undefined: the connection ends. */
function forbiddenRefusal(
  { mqtt5, isForbidden }: Connection,
  { topic, qos }: PublishPacket,
): Refusal | undefined {
  if (mqtt5 === undefined || qos === 0 || isForbidden) return undefined
  const detail = publishForbidden(topic).message
  return { code: reasonCode.notAuthorized, reason: publishForbiddenReason, detail }
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
  const keep = carriedBy(packet)?.keep
  if (keep !== undefined) (connection.keeps ??= new Set()).add(keep)
  connection.gate.answering(held)
  connection.mqtt5?.acknowledged(packet)
  proceed()
  if (packet.qos !== 2) return 'done'
  // The store of packet ids answers within the tick. A message that is not being distributed by now
  // is a duplicate, and has its PUBREC.
  setImmediate(() => {
    if (!connection.undistributed.delete(packet)) return
    if (keep !== undefined) connection.keeps?.delete(keep)
    finish(connection, publish, finished)
  })
  return 'pending'
}
