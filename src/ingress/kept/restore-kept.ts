import type { AedesPublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { isExpired, recarry } from './carried-properties.ts'
import type { CarriedProperties } from './carried-properties.ts'
import { isGroupKey } from './group-queues.ts'
import type { QueueRows } from './keeping.ts'
import type { MessageRow, QueueRow } from './kept-rows.ts'
import type { KeptStore } from './kept-store.ts'
import type { RetainedMessage, RetainedMessages } from './retained-messages.ts'
import type { Sessions } from './sessions.ts'
import type { StoredPacket, SubscriberQueues } from './subscriber-queues.ts'
import type { SessionSubscriptions } from './subscriptions.ts'

interface RestoreDependencies {
  readonly clock: Clock
  readonly kept: KeptStore
  readonly subscriptions: SessionSubscriptions
  /** Undefined: retained messages are stored elsewhere, and those on disk are left alone. */
  readonly retained: RetainedMessages | undefined
  readonly queues: SubscriberQueues
  readonly sessions: Sessions
  readonly queueRows: QueueRows
}

/**
 * Fills memory with what an earlier process kept on disk. What has expired since is removed, and
 * so are rows whose session or message is gone.
 */
export function restoreKept(dependencies: RestoreDependencies): void {
  const { clock, kept, subscriptions, retained, queues, sessions, queueRows } = dependencies
  const { contents, log } = kept
  const deadlineOf = createDeadlines(clock)

  retained?.restore(storedRetained(contents.retained, deadlineOf))

  const clientIds = new Map<number, string>()
  for (const [row, { clientId, subscriptions: stored }] of contents.sessions) {
    clientIds.set(row, clientId)
    subscriptions.add(clientId, stored)
  }
  const used = new Set<number>()
  // Aedes counts from 1 on, so that no message of this process has such a counter.
  let counter = -contents.queue.length
  for (const [id, stored] of contents.queue) {
    const clientId = clientIds.get(stored.session)
    const message = contents.messages.get(stored.message)
    const isOfGroup = clientId !== undefined && isGroupKey(clientId)
    // No member of a group has anything yet; what one has released, it has received.
    const state = isOfGroup ? { ...stored, packetId: 0 } : stored
    const packet = message && packetOf(message, state, counter++, deadlineOf)
    if (clientId === undefined || packet === undefined || (isOfGroup && stored.isReleased)) {
      log.remove('queue', id)
      continue
    }
    const row = { id, session: stored.session, message: stored.message }
    used.add(stored.message)
    queueRows.restored(row)
    queues.restore(clientId, packet, row)
    if (state.packetId === 0 && isOver(packet, clock)) queues.drop(clientId, packet.brokerCounter)
  }
  for (const id of contents.messages.keys()) if (!used.has(id)) log.remove('messages', id)
  sessions.restore(
    contents.sessions.map(([row, { clientId, expiryMs, goneAtMs }]) => ({
      row,
      clientId,
      expiryMs,
      goneAtMs,
    })),
  )
}

type DeadlineOf = (message: MessageRow) => CarriedProperties | undefined

/**
 * Converts the deadlines of messages to the monotonic clock. No message has more time from now on
 * than it had when it was published, although the time of day may have been set back.
 */
export function createDeadlines(clock: Clock): DeadlineOf {
  const wallMs = clock.wallMs()
  const nowMs = clock.monotonicMs()
  return ({ mqtt5, expiresAtMs }) => {
    if (mqtt5 === undefined) return undefined
    if (expiresAtMs === undefined) return { mqtt5, expiresAtMs: undefined }
    const wholeMs = (mqtt5.messageExpirySeconds ?? 0) * 1_000
    return { mqtt5, expiresAtMs: nowMs + Math.min(expiresAtMs - wallMs, wholeMs) }
  }
}

function* storedRetained(
  rows: Iterable<readonly [number, MessageRow]>,
  deadlineOf: DeadlineOf,
): Generator<readonly [number, RetainedMessage]> {
  for (const [id, row] of rows) {
    const { topic, payload, qos, publishedMs: lastModifiedMs } = row
    yield [id, { topic, payload, qos, lastModifiedMs, carried: deadlineOf(row) }]
  }
}

function packetOf(
  message: MessageRow,
  { packetId, isReleased }: QueueRow,
  brokerCounter: number,
  deadlineOf: DeadlineOf,
): StoredPacket {
  if (isReleased) return { cmd: 'pubrel', messageId: packetId, brokerCounter } as StoredPacket
  const { topic, payload, qos, retain } = message
  const packet: AedesPublishPacket & { wasRetained: boolean } = {
    cmd: 'publish',
    topic,
    payload,
    qos,
    retain: false,
    dup: false,
    brokerId: '',
    brokerCounter,
    wasRetained: retain,
  }
  if (packetId !== 0) packet.messageId = packetId
  recarry(packet, deadlineOf(message))
  return packet
}

const isOver = (packet: StoredPacket, clock: Clock): boolean =>
  packet.cmd === 'publish' &&
  isExpired(packet.properties as CarriedProperties | undefined, clock.monotonicMs())
