import type { MqttClient } from 'mqtt'
import type { SluiceError } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'

/** Publishes of one connection that wait for their answer, at most. */
const unansweredMax = 32

interface OutgoingMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
}

/** Publishes in order, a bounded number at a time, and fails once the connection is gone. */
interface Sender {
  /** Resolves once there is room for another message. */
  publish(message: OutgoingMessage): Promise<void>
  /** Resolves once all are answered. */
  drained(): Promise<void>
  /** Messages that were answered; of QoS 0, that were sent. */
  acknowledged(): number
}

/**
 * @param lost makes the failure for a connection that ended before its answers; `what` names them
 */
export function createMqttSender(client: MqttClient, lost: (what: string) => SluiceError): Sender {
  const unanswered = new Set<Promise<void>>()
  let acknowledged = 0
  let failure: unknown
  // A signal: each race against one promise would stay with that promise for good.
  const gone = new AbortController()
  client.once('close', () => gone.abort())

  async function send({ topic, payload, qos, retain }: OutgoingMessage): Promise<void> {
    try {
      await unlessAborted(client.publishAsync(topic, payload, { qos, retain }), gone.signal)
      acknowledged += 1
    } catch {
      failure = lost(`the message for ${topic}`)
    }
  }

  return {
    async publish(message) {
      const answer = send(message).finally(() => unanswered.delete(answer))
      unanswered.add(answer)
      if (unanswered.size >= unansweredMax) await Promise.race(unanswered)
      if (failure !== undefined) throw failure
    },
    async drained() {
      await Promise.all(unanswered)
      if (failure !== undefined) throw failure
    },
    acknowledged: () => acknowledged,
  }
}
