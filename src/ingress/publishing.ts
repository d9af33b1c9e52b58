import { randomUUID } from 'node:crypto'
import type { Client, PublishPacket } from 'aedes'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Message } from '../message.ts'
import type { Metrics } from '../telemetry.ts'
import type { Connection } from './connection.ts'
import type { LimitedLog } from './limited-log.ts'
import { isBasicIngest, parseBasicIngest } from './topic.ts'

/**
 * From a PUBLISH to its answer. Aedes calls `authorize` for each PUBLISH and will, in order of
 * arrival, and goes on when its callback is called: QoS 0 distributes; QoS 1 writes PUBACK, then
 * distributes; QoS 2 looks for a duplicate, stores, distributes, writes PUBREC. So the callback is
 * what acknowledges, and it waits for `ingest`.
 *
 * A PUBLISH is finished, and its place in the gate free, when Aedes has distributed it, or at
 * once where it never will: Basic Ingest, and duplicates of QoS 2.
 */
export interface Publishing {
  /** For Aedes' `authorizePublish`. Never throws; calls `callback` exactly once. */
  readonly authorize: (
    client: Client | null,
    packet: PublishPacket,
    callback: PublishCallback,
  ) => void
  /** For Aedes' `publish`, which every message passes on its way to the subscribers. */
  readonly distribute: Distribute
  /** The same for a message that did not come through Aedes: ingest, then distribute. */
  publish(message: Message): Promise<void>
  /** Ingests under way that no client waits for: of wills and of `publish`. */
  readonly underway: number
}

type PublishCallback = (error?: Error) => void
/** Aedes' `publish` as its own code calls it; its type leaves the client out. */
export type Distribute = (
  packet: PublishPacket,
  client: Client | PublishCallback | null,
  done?: PublishCallback,
) => void

export interface PublishingDeps {
  readonly ingest: (message: Message) => Promise<void>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: LimitedLog
  /** Aedes' own `publish`, bound. */
  readonly distribute: Distribute
  readonly connectionOf: (client: Client) => Connection | undefined
  /** Called whenever something that `close` may wait for is finished. */
  readonly finished: () => void
}

/** Disconnects the client without an answer: it will send again. */
export const notIngested = new Error('the message could not be made durable')
/** The connection is gone, and with it whom to answer. */
export const connectionGone = new Error('the connection closed before the answer')

export function createPublishing(deps: PublishingDeps): Publishing {
  const { clock, log } = deps
  const counters = createCounters(deps.metrics)
  let underway = 0

  function ingest(message: Message): Promise<void> {
    counters[message.transport].received[message.qos].inc()
    try {
      return deps.ingest(message)
    } catch (thrown) {
      return Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  }

  function reportFailure(message: Pick<Message, 'clientId' | 'topic' | 'qos'>, cause: unknown) {
    deps.metrics.messagesRejected.inc({ reason: 'ingest_failed' })
    const { clientId, topic, qos } = message
    log.warn(
      'ingest_failed',
      { clientId, topic, qos, cause: messageOf(cause) },
      'a message could not be made durable and is not acknowledged',
    )
  }

  async function ingestUnderway(message: Message): Promise<void> {
    underway++
    try {
      await ingest(message)
      counters[message.transport].acknowledged[message.qos].inc()
    } catch (cause) {
      reportFailure(message, cause)
      throw cause
    } finally {
      underway--
      deps.finished()
    }
  }

  function authorizeWill(client: Client | null, packet: PublishPacket, callback: PublishCallback) {
    const sourceIp = client ? deps.connectionOf(client)?.sourceIp : undefined
    // Aedes keeps the client's id in a will that outlives its client.
    const clientId = client?.id ?? (packet as { clientId?: string }).clientId
    ingestUnderway(messageFrom(packet, clientId, sourceIp, clock)).then(
      () => callback(),
      () => callback(notIngested),
    )
  }

  function authorizePublish(
    client: Client,
    connection: Connection,
    packet: PublishPacket,
    callback: PublishCallback,
  ): void {
    const { qos, messageId = 0 } = packet
    const ingestPacket = () => ingest(messageFrom(packet, client.id, connection.sourceIp, clock))
    const outcome =
      qos === 2 ? connection.received.ingestOnce(messageId, ingestPacket) : ingestPacket()
    connection.answers.add(outcome, (fault) => {
      if (fault !== undefined) {
        reportFailure({ clientId: client.id, topic: packet.topic, qos }, fault.cause)
      }
      if (fault !== undefined || (client.closed && qos > 0)) {
        connection.gate.finish()
        callback(fault === undefined ? connectionGone : notIngested)
        return 'done'
      }
      counters.mqtt.acknowledged[qos].inc()
      if (qos !== 2) {
        callback()
        return 'done'
      }
      connection.undistributed.add(messageId)
      callback()
      // Aedes' memory store answers within the tick. What it does not distribute is a duplicate,
      // and has its PUBREC by now.
      setImmediate(() => {
        if (connection.undistributed.delete(messageId)) finish(connection, qos)
      })
      return 'pending'
    })
  }

  function finish(connection: Connection, qos: Message['qos']): void {
    connection.gate.finish()
    if (qos === 2) connection.answers.answered()
    deps.finished()
  }

  const distribute: Distribute = (packet, client, done) => {
    const callback = typeof client === 'function' ? client : (done ?? (() => {}))
    const connection =
      isClient(client) && isFromWire(packet) ? deps.connectionOf(client) : undefined
    if (packet.qos === 2 && packet.messageId !== undefined) {
      connection?.undistributed.delete(packet.messageId)
    }
    const distributed = (error?: Error) => {
      callback(error)
      if (connection !== undefined) finish(connection, packet.qos)
    }
    // Nobody can subscribe to these, but a stored `#` of an absent client would match.
    if (isBasicIngest(packet.topic)) distributed()
    else deps.distribute(packet, typeof client === 'function' ? null : client, distributed)
  }

  return {
    authorize(client, packet, callback) {
      const connection = client && isFromWire(packet) ? deps.connectionOf(client) : undefined
      if (client === null || connection === undefined) authorizeWill(client, packet, callback)
      else authorizePublish(client, connection, packet, callback)
    },
    distribute,
    async publish(message) {
      await ingestUnderway(message)
      if (message.basicIngestRule !== undefined) return
      const { topic, payload, qos, retain } = message
      await new Promise<void>((resolve, reject) => {
        deps.distribute(
          { cmd: 'publish', topic, payload, qos, retain, dup: false },
          null,
          (error) => (error ? reject(error) : resolve()),
        )
      })
    },
    get underway() {
      return underway
    },
  }
}

const isClient = (value: Client | PublishCallback | null): value is Client =>
  typeof value === 'object' && value !== null

/** A will is part of a CONNECT and so no packet of its own. */
const isFromWire = (packet: { cmd?: string }): boolean => packet.cmd === 'publish'

function messageFrom(
  packet: PublishPacket,
  clientId: string | undefined,
  sourceIp: string | undefined,
  clock: Clock,
): Message {
  const basicIngest = parseBasicIngest(packet.topic)
  return {
    topic: basicIngest?.topic ?? packet.topic,
    // A copy: Aedes' payload is a view of what was read, which may hold many messages.
    payload: Buffer.from(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    transport: 'mqtt',
    traceId: randomUUID(),
    timestampMs: clock.nowMs(),
    ...(clientId === undefined ? {} : { clientId }),
    ...(sourceIp === undefined ? {} : { sourceIp }),
    ...(basicIngest === undefined ? {} : { basicIngestRule: basicIngest.rule }),
  }
}

/** Counters with their labels bound: finding a label set anew costs more than counting. */
function createCounters(metrics: Metrics) {
  const ofTransport = (transport: Message['transport']) => ({
    received: ofQos((qos) => metrics.messagesReceived.labels({ transport, qos })),
    acknowledged: ofQos((qos) => metrics.messagesAcknowledged.labels({ transport, qos })),
  })
  return { mqtt: ofTransport('mqtt'), http: ofTransport('http') }
}

const ofQos = <Bound>(bind: (qos: Message['qos']) => Bound) => [bind(0), bind(1), bind(2)] as const
