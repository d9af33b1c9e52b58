import type { Clock } from '../../base/clock.ts'
import { carriedBy, carriedBytes, isExpired, storedPart } from './carried-properties.ts'
import type { CarriedProperties } from './carried-properties.ts'
import { messageRowOf } from './keeping.ts'
import type { KeptPacket, RetainedRows } from './keeping.ts'
import { subscriptionMatches } from '../../topics/topic-filter.ts'

/** The last message of each topic that was published with the retain flag, [MQTT-3.3.1-5]. */
export interface RetainedMessages {
  /**
   * Stores the message in place of the one before. A message without payload clears its topic,
   * [MQTT-3.3.1-10]. A message that would exceed a limit is not stored, and the one that it
   * replaces is removed: an outdated value is worse than none.
   *
   * @returns false if the message would exceed a limit
   */
  store(packet: Omit<KeptPacket, 'retain'>): boolean
  /**
   * Takes messages that an earlier process has stored, each with its row on disk, in the order in
   * which they were stored. The last one of a topic counts, and one without payload clears it.
   */
  restore(messages: Iterable<readonly [row: number, message: RetainedMessage]>): void
  get(topic: string): RetainedMessage | undefined
  /** In the order of the topics' UTF-16 code units, at most `max` of those after `after`. */
  list(page: {
    readonly after?: string | undefined
    readonly max: number
  }): readonly RetainedMessage[]
  /**
   * The messages that are stored at this moment and match one of the filters: each topic comes
   * once, and messages that are stored later do not come. A message that is replaced before
   * `next` has come to it is given to `removed`, every other one is returned by `next`.
   */
  snapshot(
    filters: readonly string[],
    removed: (message: RetainedMessage) => void,
  ): RetainedSnapshot
  readonly count: number
}

/** The messages in memory. */
export interface RetainedTable extends RetainedMessages {
  /** Whether `store` would take the message, in place of the one of its topic. */
  hasRoomFor(message: RetainedMessage): boolean
  /** Takes a message that is stored elsewhere, whatever the limits; one without payload clears. */
  put(message: RetainedMessage): void
}

/** A position among the stored messages, and no copy of them, so many may be read at a time. */
interface RetainedSnapshot {
  /** @returns undefined when there are no more; then the snapshot is closed */
  next(): RetainedMessage | undefined
  /** Ends the snapshot. Has to be called unless `next` has returned undefined. */
  close(): void
}

export interface RetainedMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  /** When it was published, in epoch milliseconds. */
  readonly lastModifiedMs: number
  /** Undefined when it has no properties of MQTT 5. */
  readonly carried?: CarriedProperties | undefined
}

interface RetainedLimits {
  readonly retainedMax: number
  /** Bytes of topics and payloads together. */
  readonly retainedBytesMax: number
}

/** Bytes that retained messages may always have together, and those for each that there may be. */
const retainedBytesMin = 64 * 1024 * 1024
const retainedBytesEach = 1_024

/** Bytes of topics and payloads that so many retained messages may have together. */
export const retainedBytesMaxOf = (retainedMax: number): number =>
  Math.max(retainedBytesMin, retainedMax * retainedBytesEach)

interface Kept {
  readonly message: RetainedMessage
  /** The number of the message in the order of storing, from 1 on. */
  readonly sequence: number
  /** On disk; undefined where retained messages are in memory alone. */
  readonly row: number | undefined
}

type OnRemoved = (kept: Kept) => void

/** @param rows the messages on disk; absent: they are in memory alone */
export function createRetainedMessages(
  clock: Clock,
  limits: RetainedLimits,
  rows?: RetainedRows,
): RetainedTable {
  const { kept, snapshots, ...topics } = createTopics(clock, limits, rows)
  const { find, remove, removeRow } = topics

  return {
    store(packet) {
      const { topic, payload, qos } = packet
      const written = carriedBy(packet)?.keep?.takeRetained()
      remove(topic)
      // A copy: the payload may be a view of a larger buffer.
      const message = Object.freeze({
        topic,
        payload: Buffer.from(payload),
        qos,
        lastModifiedMs: written?.publishedMs ?? clock.wallMs(),
        carried: storedPart(carriedBy(packet)),
      })
      if (payload.length === 0 || !topics.makeRoomFor(message)) {
        removeRow(written?.id)
        return payload.length === 0
      }
      const row = written?.id ?? rows?.add(messageRowOf({ ...packet, retain: true }, clock))
      topics.add(message, row)
      return true
    },
    restore(messages) {
      for (const [row, message] of messages) {
        remove(message.topic)
        const isWanted =
          message.payload.length > 0 && !isExpired(message.carried, clock.monotonicMs())
        if (isWanted && topics.hasRoomFor(message)) topics.add(message, row)
        else removeRow(row)
      }
    },
    hasRoomFor: (message) => topics.hasRoomInPlace(message),
    put(message) {
      remove(message.topic)
      const isWanted =
        message.payload.length > 0 && !isExpired(message.carried, clock.monotonicMs())
      if (isWanted) topics.add(message, undefined)
    },
    get: find,
    list({ after, max }) {
      const wanted = [...kept.keys()].filter((topic) => after === undefined || topic > after)
      return wanted
        .toSorted(byCodeUnits)
        .slice(0, max)
        .flatMap((topic) => find(topic) ?? [])
    },
    snapshot: (filters, removed) =>
      createSnapshot(
        { snapshots, entries: kept.values(), end: topics.lastSequence(), isOver: topics.isOver },
        filters,
        removed,
      ),
    get count() {
      return kept.size
    },
  }
}

/** The messages by topic, within their limits. */
function createTopics(clock: Clock, limits: RetainedLimits, rows: RetainedRows | undefined) {
  /** In the order of `sequence`: a message that is stored again moves to the end. */
  const kept = new Map<string, Kept>()
  /** The snapshots that are being read. */
  const snapshots = new Set<OnRemoved>()
  let bytes = 0
  let sequence = 0

  function remove(topic: string): void {
    const old = kept.get(topic)
    if (old === undefined) return
    for (const onRemoved of snapshots) onRemoved(old)
    bytes -= bytesOfMessage(old.message)
    kept.delete(topic)
    removeRow(old.row)
  }

  function removeRow(row: number | undefined): void {
    if (row !== undefined) rows?.gone(row)
  }

  const isOver = ({ message }: Kept): boolean => isExpired(message.carried, clock.monotonicMs())

  /** Makes room by messages whose time is over: they are found when it runs out, or when read. */
  function removeExpired(): void {
    for (const each of kept.values()) if (isOver(each)) remove(each.message.topic)
  }

  const hasRoomFor = (message: RetainedMessage): boolean =>
    bytes + bytesOfMessage(message) <= limits.retainedBytesMax && kept.size < limits.retainedMax

  return {
    kept,
    snapshots,
    lastSequence: () => sequence,
    isOver,
    remove,
    removeRow,
    hasRoomFor,
    makeRoomFor(message: RetainedMessage): boolean {
      if (!hasRoomFor(message)) removeExpired()
      return hasRoomFor(message)
    },
    hasRoomInPlace(message: RetainedMessage): boolean {
      const fits = () => {
        const old = kept.get(message.topic)
        const freed = old === undefined ? 0 : bytesOfMessage(old.message)
        const isCounted = old !== undefined || kept.size < limits.retainedMax
        return isCounted && bytes - freed + bytesOfMessage(message) <= limits.retainedBytesMax
      }
      if (!fits()) removeExpired()
      return fits()
    },
    find: (topic: string): RetainedMessage | undefined => {
      const found = kept.get(topic)
      if (found !== undefined && isOver(found)) remove(topic)
      return kept.get(topic)?.message
    },
    add(message: RetainedMessage, row: number | undefined): void {
      kept.set(message.topic, { message, sequence: ++sequence, row })
      bytes += bytesOfMessage(message)
    },
  }
}

/** @param store its `entries` are live: they reflect messages that are removed or stored later */
function createSnapshot(
  store: {
    snapshots: Set<OnRemoved>
    entries: Iterator<Kept>
    end: number
    isOver: (kept: Kept) => boolean
  },
  filters: readonly string[],
  removed: (message: RetainedMessage) => void,
): RetainedSnapshot {
  const { snapshots, entries, end } = store
  let position = 0
  const isWanted = (kept: Kept): boolean =>
    kept.sequence > position &&
    kept.sequence <= end &&
    filters.some((filter) => subscriptionMatches(filter, kept.message.topic)) &&
    !store.isOver(kept)
  const onRemoved: OnRemoved = (kept) => {
    if (isWanted(kept)) removed(kept.message)
  }
  const close = () => void snapshots.delete(onRemoved)
  snapshots.add(onRemoved)
  return {
    close,
    next() {
      for (let entry = entries.next(); entry.done !== true; entry = entries.next()) {
        const { value: kept } = entry
        if (kept.sequence > end) break
        const isNext = isWanted(kept)
        position = kept.sequence
        if (isNext) return kept.message
      }
      position = end
      close()
      return undefined
    },
  }
}

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1)

/** Of its topic, payload and properties, approximately. */
export const bytesOfMessage = ({ topic, payload, carried }: RetainedMessage): number =>
  topic.length + payload.length + carriedBytes(carried)
