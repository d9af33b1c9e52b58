import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { carriedBy, carryKeep } from './carried-properties.ts'
import { isGroupKey } from './group-queues.ts'
import type { KeptLog } from './kept-log.ts'
import { encodeMessage, encodeQueueRow } from './kept-rows.ts'
import type { MessageRow } from './kept-rows.ts'
import type { QueuedSubscription } from './subscriptions.ts'

/**
 * Puts the messages on disk that must outlive the process: those for the queue of a session, and
 * retained ones. They are there before their publisher is answered, while memory takes them when
 * they are handed to the subscribers. A message that nobody keeps makes no write and no promise.
 *
 * Rows are numbered in the order of arrival, so that a queue that is read again has the order of
 * each publisher.
 */
export interface Keeping {
  /**
   * Has to be called in the order of arrival, and the message not be handed on before `write`.
   *
   * @param publisher the client id
   * @returns undefined when the message need not be kept
   */
  readonly prepare: (packet: KeptPacket, publisher: string | undefined) => Keep | undefined
  /** For the queues of the sessions. */
  readonly queueRows: QueueRows
  /** For the retained messages. */
  readonly retainedRows: RetainedRows
}

/** A message on its way to the subscribers, and the rows that wait for it on disk. */
export interface Keep {
  /**
   * Resolves when the message is on disk.
   *
   * @throws what LMDB throws (rejects); then nothing of it is there
   */
  write(): Promise<void>
  /** The row of the message in the queue of a client, which belongs to the caller from now on. */
  takeQueued(clientId: string, session: number): QueuedRow | undefined
  /** The row among the retained messages, and when it was published, in epoch milliseconds. */
  takeRetained(): { readonly id: number; readonly publishedMs: number } | undefined
  /** The message has been handed on, or never will be: removes what was not taken. */
  readonly settle: () => void
}

/** A message in the queue of a session, on disk. */
export interface QueuedRow {
  readonly id: number
  readonly session: number
  readonly message: number
}

export interface QueueRows {
  /** A message is queued. @returns undefined when the session does not outlive the process */
  readonly queued: (clientId: string, packet: KeptPacket) => QueuedRow | undefined
  /** It was sent under this packet id; `isReleased`: its PUBREL is owed from now on. */
  readonly sent: (row: QueuedRow, packetId: number, isReleased: boolean) => void
  /** It has left the queue. */
  readonly gone: (row: QueuedRow) => void
  /** An earlier process has stored the row. */
  readonly restored: (row: QueuedRow) => void
}

export interface RetainedRows {
  /** @returns the row */
  readonly add: (message: MessageRow) => number
  readonly gone: (id: number) => void
}

export type KeptPacket = Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain' | 'properties'>

interface KeepingDependencies {
  readonly clock: Clock
  readonly log: KeptLog
  /** The subscriptions of sessions that the topic matches. */
  readonly match: (topic: string) => readonly QueuedSubscription[]
  /** The row of a client's session; undefined when it does not outlive the process. */
  readonly sessionRow: (clientId: string) => number | undefined
  readonly mayReceive: (clientId: string, topic: string) => boolean
  /** Whether retained messages are stored elsewhere. */
  readonly isRetainedElsewhere?: boolean | undefined
}

export function createKeeping(dependencies: KeepingDependencies): Keeping {
  const { clock, log, match, sessionRow, mayReceive, isRetainedElsewhere } = dependencies
  const queueRows = createQueueRows(dependencies)

  /** @returns client id -> row; undefined for a message that no session queues */
  function rowsFor(
    packet: KeptPacket,
    publisher: string | undefined,
  ): Map<string, QueuedRow> | undefined {
    const { topic, qos } = packet
    if (qos === 0) return undefined
    const isRelayed = carriedBy(packet)?.isRelayed === true
    let rows: Map<string, QueuedRow> | undefined
    let message = 0
    for (const { clientId, noLocal } of match(topic)) {
      const session = sessionRow(clientId)
      if (session === undefined || rows?.has(clientId) === true) continue
      if (isRelayed && isGroupKey(clientId)) continue
      if ((noLocal && clientId === publisher) || !mayReceive(clientId, topic)) continue
      if (message === 0) message = log.nextId()
      rows ??= new Map()
      rows.set(clientId, { id: log.nextId(), session, message })
    }
    return rows
  }

  return {
    prepare(packet, publisher) {
      const rows = rowsFor(packet, publisher)
      // A retained message of QoS 0 has no answer: it is written when it is stored.
      const isRetained = packet.retain && packet.qos > 0 && isRetainedElsewhere !== true
      const retained = isRetained ? log.nextId() : undefined
      if (rows === undefined && retained === undefined) return undefined
      const parts = { log, queueRows, rows, retained }
      const keep = createKeep(parts, messageRowOf(packet, clock))
      carryKeep(packet, keep)
      return keep
    },
    queueRows,
    retainedRows: {
      add(message) {
        const id = log.nextId()
        log.put('retained', id, encodeMessage(id, message))
        return id
      },
      gone: (id) => log.remove('retained', id),
    },
  }
}

interface KeepParts {
  readonly log: KeptLog
  readonly queueRows: ReturnType<typeof createQueueRows>
  readonly rows: Map<string, QueuedRow> | undefined
  readonly retained: number | undefined
}

function createKeep({ log, queueRows, rows, retained }: KeepParts, message: MessageRow): Keep {
  let state: 'prepared' | 'written' | 'settled' = 'prepared'
  let retainedLeft = retained

  function put(): void {
    state = 'written'
    if (retained !== undefined) log.put('retained', retained, encodeMessage(retained, message))
    for (const row of rows?.values() ?? []) queueRows.put(row, message)
  }

  function discard(): void {
    state = 'settled'
    if (retained !== undefined) log.discard('retained', retained)
    for (const row of rows?.values() ?? []) queueRows.discard(row)
  }

  return {
    async write() {
      put()
      try {
        await log.flushed()
      } catch (thrown) {
        discard()
        throw thrown
      }
    },
    takeQueued(clientId, session) {
      const row = state === 'written' ? rows?.get(clientId) : undefined
      if (row?.session !== session) return undefined
      rows?.delete(clientId)
      return row
    },
    takeRetained() {
      const id = state === 'written' ? retainedLeft : undefined
      retainedLeft = undefined
      return id === undefined ? undefined : { id, publishedMs: message.publishedMs }
    },
    settle() {
      if (state !== 'written') return
      state = 'settled'
      if (retainedLeft !== undefined) log.remove('retained', retainedLeft)
      for (const row of rows?.values() ?? []) queueRows.gone(row)
    },
  }
}

/** A message that several sessions queue is on disk once, and goes with the last of them. */
function createQueueRows({ log, clock, sessionRow }: KeepingDependencies) {
  /** Message -> how many queues have it. */
  const shares = new Map<number, number>()

  function join(row: QueuedRow): boolean {
    const count = shares.get(row.message) ?? 0
    shares.set(row.message, count + 1)
    return count === 0
  }

  /** @returns whether it was the last one */
  function leave({ message }: QueuedRow): boolean {
    const count = shares.get(message) ?? 1
    if (count > 1) shares.set(message, count - 1)
    else shares.delete(message)
    return count === 1
  }

  function putState(row: QueuedRow, packetId: number, isReleased: boolean): void {
    log.put('queue', row.id, encodeQueueRow(row.id, { ...row, packetId, isReleased }))
  }

  function put(row: QueuedRow, message: MessageRow): void {
    if (join(row)) log.put('messages', row.message, encodeMessage(row.message, message))
    putState(row, 0, false)
  }

  return {
    put,
    discard(row: QueuedRow): void {
      if (leave(row)) log.discard('messages', row.message)
      log.discard('queue', row.id)
    },
    queued(clientId: string, packet: KeptPacket): QueuedRow | undefined {
      const session = sessionRow(clientId)
      if (session === undefined) return undefined
      const kept = carriedBy(packet)?.keep?.takeQueued(clientId, session)
      if (kept !== undefined) return kept
      // The client has subscribed since the message came.
      const row = { id: log.nextId(), session, message: log.nextId() }
      put(row, messageRowOf(packet, clock))
      return row
    },
    sent: putState,
    gone(row: QueuedRow): void {
      if (leave(row)) log.remove('messages', row.message)
      log.remove('queue', row.id)
    },
    restored: (row: QueuedRow) => void join(row),
  }
}

/** Times of the monotonic clock become times of day. */
export function messageRowOf(packet: KeptPacket, clock: Clock): MessageRow {
  const { topic, payload, qos, retain } = packet
  const carried = carriedBy(packet)
  const publishedMs = clock.wallMs()
  const expiresAtMs =
    carried?.expiresAtMs === undefined
      ? undefined
      : publishedMs + carried.expiresAtMs - clock.monotonicMs()
  return {
    topic,
    payload: payload as Buffer,
    qos,
    retain,
    publishedMs,
    mqtt5: carried?.mqtt5,
    expiresAtMs,
  }
}
