import type { NatsConnection } from '@nats-io/transport-node'
import { createBoundedMap } from '../../base/bounded-map.ts'
import { messageOf } from '../../base/errors.ts'
import type { Relay, RelayedMessage } from '../../ingress/relay/relay.ts'
import type { RelayMetrics } from '../../telemetry/cluster-metrics.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { followConnection, listen } from '../nats/listen.ts'
import { decodeRelayed, encodeRelayed } from './relay-codec.ts'
import { subjectOfTopic } from './topic-subjects.ts'
import { createWantedSubjects } from './wanted-subjects.ts'

interface NatsRelayDependencies {
  readonly connection: Pick<NatsConnection, 'publish' | 'subscribe' | 'flush' | 'info' | 'status'>
  readonly limitedLog: LimitedLog
  readonly metrics: RelayMetrics
}

interface NatsRelayOptions {
  /** Letters, digits, `-` and `_`. */
  readonly cluster: string
  /** The name of this process, which no other one ever has. */
  readonly origin: string
  readonly subjectsMax?: number | undefined
}

const subjectsMaxDefault = 5_000
/** Bytes that are handed to the client of NATS and may not have been written yet. */
const outgoingBytesMax = 64 * 1024 * 1024
/** How often it is asked what has been written. */
const flushBytes = 256 * 1024
/** Messages of other nodes that wait to be handed to subscribers, and their bytes. */
const incomingMax = 10_000
const incomingBytesMax = 64 * 1024 * 1024
/** Nodes whose last number is known. */
const originsMax = 1_000

/**
 * Messages between nodes by NATS without a stream: at most once, and in the order of their node. On
 * the subjects `sluice.<cluster>.mqtt.>`, which belong to no stream.
 */
export function createNatsRelay(
  dependencies: NatsRelayDependencies,
  { cluster, origin, subjectsMax = subjectsMaxDefault }: NatsRelayOptions,
): Relay {
  const { connection, limitedLog, metrics } = dependencies
  const prefix = `sluice.${cluster}.mqtt`
  const outgoing = createOutgoing(connection)
  const link = watchLink(connection)
  let number = 0
  let receive: ((data: Uint8Array) => void) | undefined

  function drop(reason: string, topic?: string): void {
    metrics.dropped.inc({ reason })
    const text = 'a message between the nodes of the cluster was dropped'
    limitedLog.warn(`relay ${reason}`, { reason, topic }, text)
  }

  const wanted = createWantedSubjects(
    (subject) => {
      const subscription = listen(
        connection,
        subject,
        (data) => receive?.(data),
        () => drop('unreadable'),
      )
      // What came before the end is still handed over.
      return () => void subscription.drain().catch(() => undefined)
    },
    { prefix, subjectsMax },
  )

  return {
    ...wanted,
    send(message) {
      const { topic } = message
      if (!link.isUp) return drop('not_connected', topic)
      if (outgoing.isFull()) return drop('outgoing_full', topic)
      const data = encodeRelayed({ origin, number: ++number }, message)
      if (data.length > (connection.info?.max_payload ?? Infinity)) return drop('too_large', topic)
      try {
        outgoing.publish(subjectOfTopic(prefix, topic), data)
        metrics.messages.inc({ direction: 'out' })
      } catch (thrown) {
        drop('not_connected', messageOf(thrown))
      }
    },
    start(deliver) {
      receive = createReceive({ deliver, drop, metrics }, origin)
    },
  }
}

/** The client throws away what it is given while it has no connection. */
function watchLink(connection: Pick<NatsConnection, 'status'>): { readonly isUp: boolean } {
  const link = { isUp: true }
  void followConnection(connection, {
    lost: () => void (link.isUp = false),
    found: () => void (link.isUp = true),
  })
  return link
}

/** Counts what the client of NATS has been given, and what of it is written. */
function createOutgoing(connection: Pick<NatsConnection, 'publish' | 'flush'>) {
  let unwritten = 0
  let sinceFlush = 0
  let isFlushing = false

  async function flush(): Promise<void> {
    isFlushing = true
    while (sinceFlush >= flushBytes) {
      const bytes = sinceFlush
      sinceFlush = 0
      // While there is no connection it waits, or fails with what was to be sent.
      await connection.flush().catch(() => undefined)
      unwritten -= bytes
    }
    isFlushing = false
  }

  return {
    isFull: () => unwritten > outgoingBytesMax,
    publish(subject: string, data: Uint8Array): void {
      connection.publish(subject, data)
      unwritten += data.length
      sinceFlush += data.length
      if (!isFlushing && sinceFlush >= flushBytes) void flush()
    },
  }
}

interface ReceiveDependencies {
  readonly deliver: (message: RelayedMessage) => Promise<void>
  readonly drop: (reason: string, topic?: string) => void
  readonly metrics: RelayMetrics
}

function createReceive({ deliver, drop, metrics }: ReceiveDependencies, self: string) {
  const lastNumbers = createBoundedMap<string, number>(originsMax)
  let waiting = 0
  let waitingBytes = 0

  return (data: Uint8Array): void => {
    const decoded = decodeRelayed(data)
    if (decoded === undefined) return drop('unreadable')
    const { sent, message } = decoded
    // It came before, for another subscription.
    if (sent.origin === self || sent.number === lastNumbers.get(sent.origin)) return
    lastNumbers.set(sent.origin, sent.number)
    const bytes = data.length
    if (waiting >= incomingMax || waitingBytes + bytes > incomingBytesMax) {
      drop('incoming_full', message.topic)
      return
    }
    metrics.messages.inc({ direction: 'in' })
    waiting++
    waitingBytes += bytes
    // The data belong to the client of NATS.
    void deliver({ ...message, payload: Buffer.from(message.payload) }).finally(() => {
      waiting--
      waitingBytes -= bytes
    })
  }
}
