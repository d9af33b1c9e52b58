import { randomUUID } from 'node:crypto'
import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { messageOf, SluiceError } from '../../base/errors.ts'
import type { Message, MessageSender } from '../../message.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { carriedBy } from '../kept/carried-properties.ts'
import { parseBasicIngest } from '../../topics/topic.ts'

/** Hands messages to the engine, counts them, and reports those that it could not take. */
interface Ingesting {
  /** Calls the engine at once. The caller reports a rejection. */
  ingest(message: Message, sender?: MessageSender): Promise<void>
  acknowledged(transport: Message['transport'], qos: Message['qos']): void
  /** Reports a message whose sender is not answered, so that it sends the message again. */
  failed(message: Sent, cause: unknown): void
  /** Reports a message of QoS 0, which no client sends again. */
  dropped(message: Sent, cause: unknown): void
}

type Sent = Pick<Message, 'clientId' | 'topic' | 'qos'>

export interface IngestingDependencies {
  readonly ingest: (message: Message, sender?: MessageSender) => Promise<void>
  readonly metrics: Metrics
  readonly log: LimitedLog
}

export function createIngesting({ ingest, metrics, log }: IngestingDependencies): Ingesting {
  const counters = createCounters(metrics)

  function reject({ clientId, topic, qos }: Sent, cause: unknown, text: string): void {
    const reason = reasonOf(cause)
    metrics.messagesRejected.inc({ reason })
    log.warn(reason, { reason, clientId, topic, qos, detail: messageOf(cause) }, text)
  }

  return {
    ingest(message, sender) {
      counters[message.transport].received[message.qos].inc()
      try {
        return ingest(message, sender)
      } catch (thrown) {
        return Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    },
    acknowledged(transport, qos) {
      counters[transport].acknowledged[qos].inc()
    },
    failed(message, cause) {
      // The client sends the message again when it reconnects, so the operator need not act.
      if (reasonOf(cause) === connectionGone)
        metrics.messagesRejected.inc({ reason: connectionGone })
      else reject(message, cause, 'a message could not be made durable and is not acknowledged')
    },
    dropped(message, cause) {
      reject(message, cause, 'a message of QoS 0 was dropped for the rules')
    },
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof SluiceError)) return 'ingest_failed'
  if (cause.code === 'OutboxFull') return 'outbox_full'
  return cause.code === 'SenderGone' ? connectionGone : 'ingest_failed'
}

const connectionGone = 'connection_gone'

function createCounters(metrics: Metrics) {
  const ofTransport = (transport: Message['transport']) => ({
    received: ofQos((qos) => metrics.messagesReceived.tally({ transport, qos })),
    acknowledged: ofQos((qos) => metrics.messagesAcknowledged.tally({ transport, qos })),
  })
  return { mqtt: ofTransport('mqtt'), http: ofTransport('http') }
}

const ofQos = <Bound>(bind: (qos: Message['qos']) => Bound) => [bind(0), bind(1), bind(2)] as const

/** A PUBLISH, or the will of a CONNECT, as the engine sees it. */
export function messageFrom(
  packet: Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain' | 'properties'>,
  sender: {
    readonly clientId: string | undefined
    readonly sourceIp: string | undefined
    readonly principal: string | undefined
  },
  clock: Clock,
): Message {
  const { clientId, sourceIp, principal } = sender
  const basicIngest = parseBasicIngest(packet.topic)
  const message: { -readonly [Name in keyof Message]: Message[Name] } = {
    topic: basicIngest?.topic ?? packet.topic,
    // A copy, because Aedes' payload is a view of a chunk that may hold many messages.
    payload: Buffer.from(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    transport: 'mqtt',
    traceId: randomUUID(),
    timestampMs: clock.wallMs(),
  }
  // Assigned one by one, because spreading costs more than the rest of this function.
  if (clientId !== undefined) message.clientId = clientId
  if (sourceIp !== undefined) message.sourceIp = sourceIp
  if (principal !== undefined) message.principal = principal
  if (basicIngest !== undefined) message.basicIngestRule = basicIngest.rule
  const carried = carriedBy(packet)
  if (carried !== undefined) message.mqtt5 = carried.mqtt5
  return message
}
