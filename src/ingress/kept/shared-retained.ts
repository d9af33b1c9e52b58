/**
 * The retained messages that the nodes of a cluster share, one value of the store for each topic:
 * a row such as a single engine has on disk (kept-rows.ts), which names its topic.
 *
 * Invariants:
 * - A message of QoS 1 or 2 is in the store before its publisher is answered, and in the table of
 *   this node before subscribers get it.
 * - The message of a topic that is handed to subscribers last is the one that is written last, also
 *   where an earlier one took longer to become durable.
 * - The table of each node holds what the store holds. Its limits are asked before a write alone,
 *   so nodes that write at the same time may exceed them by their writes.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import { valueKeyOf } from '../../cluster/state/last-values.ts'
import type { LastValues } from '../../cluster/state/last-values.ts'
import {
  AnswerLost,
  stateUnavailable,
  stateValueBytesMax,
} from '../../cluster/state/shared-state.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { carriedBy, carryKeep, storedPart } from './carried-properties.ts'
import { messageRowOf } from './keeping.ts'
import type { Keep, Keeping, KeptPacket } from './keeping.ts'
import { decodeMessage, encodeMessage, rowKey } from './kept-rows.ts'
import type { MessageRow } from './kept-rows.ts'
import { followRetained } from './follow-retained.ts'
import { createDeadlines } from './restore-kept.ts'
import { bytesOfMessage, createRetainedMessages } from './retained-messages.ts'
import type { RetainedMessage, RetainedMessages, RetainedTable } from './retained-messages.ts'
import { createSharedTopics } from './shared-topics.ts'
import type { SharedTopics } from './shared-topics.ts'

export interface SharedRetained extends RetainedMessages {
  /** Wraps what puts messages on disk: retained ones go to the store instead. */
  readonly preparing: (prepare: Keeping['prepare'] | undefined) => Keeping['prepare']
  /** Told of each message of QoS 0 that is not retained, because the store does not take it. */
  readonly onDropped: (listener: () => void) => void
  readonly close: () => void
}

interface SharedRetainedDependencies {
  readonly values: LastValues
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** Rows of the store have no number of their own. */
const rowNumber = 0
/** Topics with writes that nobody waits for. */
const writingMax = 1_000
/** Of topic, payload and properties, which take more room in a row. */
const valueBytesMax = stateValueBytesMax / 2
/** Attempts of a write whose answers do not come. */
const attemptsMax = 3

/**
 * Resolves when all messages of the cluster are there. It waits for a store that cannot be reached.
 *
 * @throws an AbortError: the signal ended the wait (rejects)
 */
export async function openSharedRetained(
  { values, clock, logger }: SharedRetainedDependencies,
  limits: Parameters<typeof createRetainedMessages>[1],
  signal: AbortSignal = new AbortController().signal,
): Promise<SharedRetained> {
  const log = createLimitedLog({ logger, clock })
  const table = createRetainedMessages(clock, limits)
  const write = createWrite(values, clock)
  const topics = createSharedTopics({ table, write, keyOf })
  const deadlineOf = createDeadlines(clock)
  const decode = (value: Buffer): RetainedMessage => {
    const row = decodeMessage(rowKey(rowNumber), value)
    const { topic, payload, qos, publishedMs: lastModifiedMs } = row
    return { topic, payload, qos, lastModifiedMs, carried: deadlineOf(row) }
  }
  const following = followRetained({ values, clock, logger, log, topics, decode })
  try {
    await unlessAborted(following.isPresent, signal)
  } catch (thrown) {
    following.stop()
    throw thrown
  }
  const { lostReason } = following
  const listeners = new Set<() => void>()
  const dropped = () => listeners.forEach((listener) => listener())
  return {
    ...createStoring({ table, topics, clock, log, lostReason, dropped }),
    restore: (messages) => table.restore(messages),
    get: (topic) => table.get(topic),
    list: (page) => table.list(page),
    snapshot: (filters, removed) => table.snapshot(filters, removed),
    get count() {
      return table.count
    },
    onDropped: (listener) => void listeners.add(listener),
    close: following.stop,
  }
}

interface StoringParts {
  readonly table: RetainedTable
  readonly topics: SharedTopics<MessageRow | undefined>
  readonly clock: Clock
  readonly log: LimitedLog
  readonly lostReason: () => string | undefined
  /** Told of a message that is not retained. */
  readonly dropped: () => void
}

/** A write to the store before its message is handed to the subscribers. */
interface OwnWrite {
  readonly number: number
  readonly isAdmitted: boolean
  readonly publishedMs: number
}

function createStoring(parts: StoringParts): Pick<SharedRetained, 'store' | 'preparing'> {
  const { table, topics, clock } = parts
  const writes = new WeakMap<Keep, OwnWrite>()
  const asking = createAsking(parts)
  const show = (packet: KeptPacket, publishedMs: number, isAdmitted: boolean): void => {
    const message = messageFrom(packet, publishedMs)
    table.put(isAdmitted ? message : { ...message, payload: Buffer.alloc(0) })
  }
  /** Nobody waits for the write. */
  function storeLater(packet: KeptPacket, isAdmitted: boolean): void {
    const { topic } = packet
    const row = rowOf(packet, clock)
    const { number, done } = asking.askLater(row, isAdmitted) ?? {}
    if (number === undefined) return
    show(packet, row.publishedMs, isAdmitted)
    topics.shown(topic, number)
    done?.catch((thrown: unknown) => asking.drop(topic, messageOf(thrown)))
  }

  return {
    store(packet) {
      const { topic } = packet
      const retained: KeptPacket = { ...packet, retain: true }
      const keep = carriedBy(packet)?.keep
      const written = keep && writes.get(keep)
      const isAdmitted = written?.isAdmitted ?? asking.isAdmitted(retained)
      if (written && topics.isNewest(topic, written.number)) {
        show(retained, written.publishedMs, isAdmitted)
        topics.shown(topic, written.number)
      } else storeLater(retained, isAdmitted)
      return isAdmitted
    },

    preparing: (prepare) => (packet, publisher) => {
      const inner = prepare?.(packet, publisher)
      if (!packet.retain) return inner
      const row = rowOf(packet, clock)
      const { topic } = packet
      let isHeld = false
      const keep: Keep = {
        async write() {
          asking.refuseLost()
          topics.hold(topic)
          isHeld = true
          const isAdmitted = asking.isAdmitted(packet)
          const { number, done } = asking.ask(row, isAdmitted)
          writes.set(keep, { number, isAdmitted, publishedMs: row.publishedMs })
          const results = await Promise.allSettled([done, inner?.write()])
          const failed = results.find((result) => result.status === 'rejected')
          if (failed === undefined) return
          keep.settle()
          throw failed.reason
        },
        takeQueued: (clientId, session) => inner?.takeQueued(clientId, session),
        takeRetained: () => undefined,
        settle() {
          inner?.settle()
          if (isHeld) topics.release(topic)
          isHeld = false
        },
      }
      carryKeep(packet, keep)
      return keep
    },
  }
}

/** Asks for writes, within their bounds. */
function createAsking({ table, topics, clock, log, lostReason, dropped }: StoringParts) {
  /** A message that is not admitted clears its topic, as one without payload does. */
  const ask = (row: MessageRow, isAdmitted: boolean) => {
    const isCleared = !isAdmitted || row.payload.length === 0
    return topics.write(row.topic, isCleared ? undefined : row)
  }
  function drop(topic: string, reason: string): void {
    dropped()
    log.warn('retained_unreachable', { topic, reason }, 'a message was not retained')
  }
  return {
    ask,
    drop,
    /** @returns undefined when the message is dropped */
    askLater(row: MessageRow, isAdmitted: boolean): ReturnType<typeof ask> | undefined {
      const isFull = topics.writingCount >= writingMax
      const reason = lostReason() ?? (isFull ? `${writingMax} others are being written` : undefined)
      if (reason === undefined) return ask(row, isAdmitted)
      drop(row.topic, reason)
      return undefined
    },
    /** @throws SluiceError ServiceUnavailableException */
    refuseLost(): void {
      const reason = lostReason()
      if (reason !== undefined) throw stateUnavailable(reason)
    },
    isAdmitted(packet: KeptPacket): boolean {
      if (packet.payload.length === 0) return true
      const message = messageFrom(packet, clock.wallMs())
      return bytesOfMessage(message) <= valueBytesMax && table.hasRoomFor(message)
    },
  }
}

const keyOf = (topic: string): string => valueKeyOf('topic', topic)

/** @returns a function that writes a row, or removes what the topic has */
function createWrite(values: LastValues, clock: Clock) {
  return async (topic: string, row: MessageRow | undefined): Promise<number> => {
    const key = keyOf(topic)
    const value = row && encodeMessage(rowNumber, row)
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = (row?.expiresAtMs ?? Number.POSITIVE_INFINITY) - clock.wallMs()
      try {
        if (value === undefined || leftMs <= 0) return await values.unset(key)
        const isForever = leftMs === Number.POSITIVE_INFINITY
        return await values.set(key, value, isForever ? undefined : Math.ceil(leftMs / 1_000))
      } catch (thrown) {
        if (!(thrown instanceof AnswerLost)) throw thrown
        if (attempt === attemptsMax) throw stateUnavailable(messageOf(thrown), thrown)
      }
    }
  }
}

/** The payload is a copy: it may be a view of a larger buffer, and is written later. */
const rowOf = (packet: KeptPacket, clock: Clock): MessageRow =>
  messageRowOf({ ...packet, payload: Buffer.from(packet.payload) }, clock)

const messageFrom = (packet: KeptPacket, lastModifiedMs: number): RetainedMessage =>
  Object.freeze({
    topic: packet.topic,
    payload: Buffer.from(packet.payload),
    qos: packet.qos,
    lastModifiedMs,
    carried: storedPart(carriedBy(packet)),
  })
