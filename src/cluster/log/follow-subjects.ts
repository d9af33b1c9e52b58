import { DeliverPolicy } from '@nats-io/jetstream'
import type { Consumer, ConsumerMessages, JsMsg } from '@nats-io/jetstream'
import { messageOf } from '../../base/errors.ts'
import type { NatsDependencies } from '../nats/connection.ts'
import type { Nats } from '../nats/open-nats.ts'

/** Which messages of a stream are followed. */
export interface Followed {
  readonly stream: string
  /** A filter, with wildcards. */
  readonly subject: string
  /** Messages behind this sequence, or at first the last one of each subject. */
  readonly after: number | 'last-of-each'
}

/**
 * A reader with the client's own settings stopped for good when the leader of NATS was killed.
 * Short requests and heartbeats make it notice that soon.
 */
const requestMs = 4_000
const heartbeatMs = 1_000
/** What one reader holds: at most 100 messages, and about so many bytes. */
const heldBytesMax = 4 * 1_024 * 1_024
/** The server forgets a reader that has not asked for so long. */
const forgottenMs = 30_000
const checkEveryMs = 2_000
const retryMsMin = 200
const retryMsMax = 2_000

/**
 * Messages in the order of the stream, each once. Its reader lives on one of the servers: when it
 * is lost, or does not deliver what is there, another one goes on behind the last message.
 *
 * @returns messages until the signal aborts; it never throws
 */
export async function* followSubjects(
  dependencies: NatsDependencies,
  nats: Pick<Nats, 'client' | 'manager'>,
  followed: Followed,
  signal: AbortSignal,
): AsyncGenerator<JsMsg, void> {
  const { clock, limitedLog } = dependencies
  const { stream, subject, after } = followed
  let seen = after === 'last-of-each' ? 0 : after
  let retryMs = retryMsMin
  while (!signal.aborted) {
    let reader: Reader | undefined
    const stop = () => reader?.messages.stop()
    const watch = createStallWatch(dependencies, async () => {
      const last = await nats.manager.streams.getMessage(stream, { last_by_subj: subject })
      return last !== null && last.seq > seen
    })
    try {
      reader = await openReader(nats, followed, seen)
      watch.start(reader.messages)
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      for await (const message of reader.messages) {
        if (message.seq <= seen) continue
        seen = message.seq
        retryMs = retryMsMin
        watch.pause()
        yield message
        watch.resume()
      }
      if (watch.hasStopped()) {
        limitedLog.warn(`stalled ${subject}`, { subject, seen }, 'a reader of the log stood still')
      }
    } catch (thrown) {
      const reason = messageOf(thrown)
      limitedLog.warn(`reader ${subject}`, { subject, reason }, 'a reader of the log was lost')
    } finally {
      signal.removeEventListener('abort', stop)
      watch.end()
      reader?.close()
    }
    await clock.sleep(retryMs, signal)
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
}

interface Reader {
  readonly messages: ConsumerMessages
  close(): void
}

async function openReader(
  { client }: Pick<Nats, 'client'>,
  { stream, subject, after }: Followed,
  seen: number,
): Promise<Reader> {
  const isFirst = seen === 0 && after === 'last-of-each'
  const consumer: Consumer = await client.consumers.get(stream, {
    filter_subjects: subject,
    inactive_threshold: forgottenMs,
    ...(isFirst ? { deliver_policy: DeliverPolicy.LastPerSubject } : { opt_start_seq: seen + 1 }),
  })
  const messages = await consumer.consume({
    max_bytes: heldBytesMax,
    expires: requestMs,
    idle_heartbeat: heartbeatMs,
  })
  void stopWhenLost(messages)
  return {
    messages,
    close() {
      messages.stop()
      // It ends by itself when the request is lost.
      consumer.delete().catch(() => undefined)
    },
  }
}

/** The client would go on asking a reader that is gone, for many seconds. */
async function stopWhenLost(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) {
    if (lossTypes.has(type)) messages.stop()
  }
}

const lossTypes: ReadonlySet<string> = new Set([
  'consumer_deleted',
  'consumer_not_found',
  'heartbeats_missed',
  'no_responders',
])

/**
 * Ends the messages of a reader that delivers nothing although there is something to deliver, seen
 * twice in a row. Time in which the reader's user has a message in hand does not count.
 */
function createStallWatch(
  { clock }: Pick<NatsDependencies, 'clock'>,
  isBehind: () => Promise<boolean>,
) {
  let messages: ConsumerMessages | undefined
  let cancel: (() => void) | undefined
  let isPaused = false
  let arrivals = 0
  let hasStopped = false
  let hasEnded = false

  function schedule(arrivalsBefore: number, wasBehind: boolean): void {
    cancel = clock.after(checkEveryMs, () => void check(arrivalsBefore, wasBehind))
  }

  async function check(arrivalsBefore: number, wasBehind: boolean): Promise<void> {
    const isIdle = () => !isPaused && arrivals === arrivalsBefore
    // Without an answer nothing can be said.
    const behind = isIdle() && (await isBehind().catch(() => false)) && isIdle()
    if (hasEnded) return
    if (behind && wasBehind) {
      hasStopped = true
      messages?.stop()
      return
    }
    schedule(arrivals, behind)
  }

  return {
    start(reader: ConsumerMessages): void {
      messages = reader
      schedule(arrivals, false)
    },
    pause(): void {
      isPaused = true
      arrivals++
    },
    resume(): void {
      isPaused = false
    },
    hasStopped: () => hasStopped,
    end(): void {
      hasEnded = true
      cancel?.()
    },
  }
}
