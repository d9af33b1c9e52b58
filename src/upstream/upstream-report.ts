import type { Clock } from '../base/clock.ts'
import { messageOf, shorten } from '../base/errors.ts'
import type { UpstreamConfig } from '../config/upstream-config.ts'
import type { Message } from '../message.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { endReasonOf } from './end-reason.ts'
import type { EndCause } from './end-reason.ts'
import type { IntakeDependencies } from './intake.ts'
import type { OpenedSession } from './upstream-connection.ts'
import type { UnusableMessage } from './upstream-message.ts'

/** Logs and metrics of the upstream broker. */
export interface UpstreamReport {
  readonly logger: Logger
  /** Where metrics read what is now. */
  readFrom(now: { readonly isReading: () => boolean; readonly unfinished: () => number }): void
  /** A connection stands, and is subscribed. */
  reading(session: OpenedSession, refused: readonly string[]): void
  ended(cause: EndCause, retryMs: number): void
  /** The engine gets it. */
  received(message: Message): void
  readonly finished: IntakeDependencies['finished']
  readonly notDistributed: IntakeDependencies['notDistributed']
  unusable(message: { readonly topic: string }, why: UnusableMessage): void
}

const topicLogMax = 300

const ofQos = <Bound>(bind: (qos: Message['qos']) => Bound) => [bind(0), bind(1), bind(2)] as const

function outcomesOf({ upstreamMessages }: Pick<Metrics, 'upstreamMessages'>) {
  return {
    durable: upstreamMessages.tally({ outcome: 'durable' }),
    dropped: upstreamMessages.tally({ outcome: 'dropped' }),
    invalid: upstreamMessages.tally({ outcome: 'invalid' }),
    retained: upstreamMessages.tally({ outcome: 'retained' }),
  }
}

export function createUpstreamReport(
  {
    logger: parent,
    metrics,
    clock,
  }: { readonly logger: Logger; readonly metrics: Metrics; readonly clock: Clock },
  {
    config,
    broker,
    clientId,
  }: { readonly config: UpstreamConfig; readonly broker: string; readonly clientId: string },
): UpstreamReport {
  const logger = parent.child({ stage: 'upstream', broker })
  const log = createLimitedLog({ logger, clock })
  const outcomes = outcomesOf(metrics)
  const received = ofQos((qos) => metrics.messagesReceived.tally({ transport: 'mqtt', qos }))
  const acknowledged = ofQos((qos) =>
    metrics.messagesAcknowledged.tally({ transport: 'mqtt', qos }),
  )
  const client = {
    ...config,
    clientId,
    hasTls: config.protocol === 'mqtts' || config.protocol === 'wss',
    hasCertificate: config.certificateFile !== undefined,
  }
  let connections = 0

  return {
    logger,
    readFrom(now) {
      const labels = { broker }
      metrics.upstreamConnected.readFrom(() => [{ labels, value: now.isReading() ? 1 : 0 }])
      metrics.upstreamUnacknowledged.readFrom(() => [{ labels, value: now.unfinished() }])
    },
    reading(session, refused) {
      if (connections++ > 0) metrics.upstreamReconnects.inc({ broker })
      const { isPresent: sessionPresent, expirySeconds } = session
      const about = { clientId, filters: config.filters, refused, sessionPresent, expirySeconds }
      logger.info(about, 'messages of the upstream broker are read')
      const { sessionExpirySeconds: asked } = config
      if (expirySeconds === undefined || expirySeconds >= asked) return
      const text = 'the upstream broker keeps the session for less time than it was asked for'
      log.warnOnce('expiry', { expirySeconds, asked }, text)
    },
    ended(cause, retryMs) {
      const reason = endReasonOf(cause, client)
      log.error(reason, { reason, retryMs }, `the upstream broker is not connected: ${reason}`)
    },
    received: ({ qos }) => received[qos].inc(),
    finished({ topic, qos }, outcome, cause) {
      outcomes[outcome].inc()
      if (outcome === 'durable') return acknowledged[qos].inc()
      const about = { topic: shorten(topic, topicLogMax), detail: messageOf(cause) }
      log.warn('dropped', about, 'a message of QoS 0 was dropped for the rules')
      return undefined
    },
    notDistributed({ topic }, cause) {
      const about = { topic: shorten(topic, topicLogMax), detail: messageOf(cause) }
      log.warn('not_distributed', about, 'subscribers here did not get a message')
    },
    unusable({ topic }, { outcome, detail }) {
      outcomes[outcome].inc()
      if (outcome === 'retained') return
      const about = { topic: shorten(topic, topicLogMax), detail }
      log.warn(outcome, about, 'a message cannot be used, and is acknowledged')
    },
  }
}
