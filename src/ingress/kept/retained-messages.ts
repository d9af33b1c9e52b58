import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { subscriptionMatches } from '../../topics/topic-filter.ts'

/** The last message of each topic that was published with the retain flag, [MQTT-3.3.1-5]. */
export interface RetainedMessages {
  /**
   * Keeps the message in place of the one before; one without payload clears its topic,
   * [MQTT-3.3.1-10]. A message that would go over a bound is not kept, and neither is the one
   * that it replaces: an outdated value is worse than none.
   *
   * @returns whether it is kept or cleared as asked
   */
  store(packet: Pick<PublishPacket, 'topic' | 'payload' | 'qos'>): boolean
  get(topic: string): RetainedMessage | undefined
  /** In the order of the topics' UTF-16 code units, at most `max` of those after `after`. */
  list(page: { readonly after?: string; readonly max: number }): readonly RetainedMessage[]
  /** Those that match one of the filters, each once. */
  matching(filters: readonly string[]): Iterable<RetainedMessage>
  readonly count: number
}

export interface RetainedMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  /** When it was published, in epoch milliseconds. */
  readonly lastModifiedMs: number
}

export interface RetainedLimits {
  readonly retainedMax: number
  /** Of topics and payloads together. */
  readonly retainedBytesMax: number
}

export function createRetainedMessages(clock: Clock, limits: RetainedLimits): RetainedMessages {
  const messages = new Map<string, RetainedMessage>()
  let bytes = 0

  function remove(topic: string): void {
    const message = messages.get(topic)
    if (message === undefined) return
    bytes -= bytesOf(message)
    messages.delete(topic)
  }

  return {
    store({ topic, payload, qos }) {
      remove(topic)
      if (payload.length === 0) return true
      // A copy: the payload may be a view of a larger buffer.
      const kept = Object.freeze({
        topic,
        payload: Buffer.from(payload),
        qos,
        lastModifiedMs: clock.wallMs(),
      })
      const isOver = bytes + bytesOf(kept) > limits.retainedBytesMax
      if (isOver || messages.size >= limits.retainedMax) return false
      messages.set(topic, kept)
      bytes += bytesOf(kept)
      return true
    },
    get: (topic) => messages.get(topic),
    list({ after, max }) {
      const topics = [...messages.keys()].filter((topic) => after === undefined || topic > after)
      return topics
        .toSorted(byCodeUnits)
        .slice(0, max)
        .flatMap((topic) => messages.get(topic) ?? [])
    },
    *matching(filters) {
      for (const message of messages.values()) {
        if (filters.some((filter) => subscriptionMatches(filter, message.topic))) yield message
      }
    },
    get count() {
      return messages.size
    },
  }
}

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1)

const bytesOf = ({ topic, payload }: RetainedMessage): number => topic.length + payload.length
