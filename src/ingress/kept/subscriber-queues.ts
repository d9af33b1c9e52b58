import type MemoryPersistence from 'aedes-persistence/asyncPersistence.js'
import type { KeptPacket, QueuedRow, QueueRows } from './keeping.ts'
import { createQueueLengths } from './queue-lengths.ts'
import { bytesOf, expiryOf, isUnsent, markSent, queuedPacket } from './queued-packet.ts'

/** A packet as Aedes stores it, with the broker's counter. */
export type StoredPacket = Parameters<MemoryPersistence['outgoingUpdate']>[1]

/**
 * The messages of QoS 1 and 2 that a session still owes its subscriber: messages that came while
 * the subscriber was absent, and messages that were sent and are not acknowledged yet.
 *
 * A full queue drops the newest message, so that the subscriber gets a sequence without gaps up to
 * a point, and no open handshake loses its message. A connected subscriber still gets a dropped
 * message once, but it is not sent again.
 *
 * When the bytes of all queues reach their bound, a long queue gives way to a short one: it drops
 * its newest message that was not sent. One session may take `sessionShare` of the bytes. So no
 * absent subscriber of `#`, nor one that acknowledges nothing, takes the memory of all others.
 *
 * A packet is identified by the broker's counter, and also by its packet id once it was sent.
 */
export interface SubscriberQueues {
  /** @returns how many packets were not queued, or dropped from other queues */
  enqueue(clientIds: readonly string[], packet: StoredPacket): number
  /**
   * The packet, or its PUBREL ([MQTT-4.3.3-1]), is being sent under this packet id. If another
   * packet of the session has the id, the packet gets a free one, [MQTT-2.3.1-4]: Aedes numbers
   * packets anew for each connection and does not know the ids of earlier ones.
   */
  update(clientId: string, packet: StoredPacket): void
  /** PUBACK or PUBCOMP came. @returns the packet, if it was queued */
  acknowledge(clientId: string, messageId: number): StoredPacket | undefined
  /** The oldest packet that was not sent. */
  nextUnsent(clientId: string): StoredPacket | undefined
  /** Whether the packet is queued, and was not sent. */
  isUnsent(clientId: string, brokerCounter: number): boolean
  /**
   * A packet that was sent counts as unsent again, in the place that it has in the order.
   *
   * @returns the packet, if it was queued
   */
  unsend(clientId: string, messageId: number): StoredPacket | undefined
  /** Whether a packet was sent under this packet id and is not acknowledged. */
  isTaken(clientId: string, messageId: number): boolean
  /** Removes a packet that is not to be sent. */
  drop(clientId: string, brokerCounter: number): void
  /** All queued packets, oldest first. Those sent before are marked duplicate, [MQTT-3.3.1-1]. */
  list(clientId: string): readonly StoredPacket[]
  /** The same one by one, with those that are queued meanwhile. */
  each(clientId: string): Iterable<StoredPacket>
  /** Packets of a client that wait, and those that were sent and are not acknowledged. */
  readonly countsOf: (clientId: string) => { readonly unsent: number; readonly sent: number }
  forget(clientId: string): void
  /** Takes a packet that an earlier process has queued, after those before it. */
  restore(clientId: string, packet: StoredPacket, row: QueuedRow): void
  readonly bytes: number
}

interface SubscriberQueueLimits {
  /** Messages in the queue of one session. */
  readonly queuedMax: number
  /** Bytes in the queues of all sessions together. */
  readonly queuedBytesMax: number
}

interface Queue {
  /** The broker's counter -> packet, in the order of arrival. */
  readonly packets: Map<number, StoredPacket>
  readonly counters: Map<number, number>
  /** The broker's counter -> row on disk; of sessions that outlive the process. */
  readonly rows: Map<number, QueuedRow>
  /** The counters of packets that were not sent, oldest first; also of some that are gone. */
  unsent: number[]
  bytes: number
  /** Of the packets that were not sent. */
  unsentBytes: number
  /** When the first of its messages expires, by the monotonic clock; Infinity: none does. */
  firstExpiryMs: number
}

/** What one session may take of `queuedBytesMax`, for packets that were sent cannot give way. */
const sessionShare = 0.25

/** The bytes of the queues, and which queue gives way to another. */
function createPool({ queuedBytesMax }: SubscriberQueueLimits, rows: QueueRows) {
  const lengths = createQueueLengths<Queue>()
  let bytes = 0

  function count(queue: Queue, added: number, addedUnsent: number): void {
    bytes += added
    queue.bytes += added
    if (addedUnsent === 0) return
    lengths.changed(queue, queue.unsentBytes, queue.unsentBytes + addedUnsent)
    queue.unsentBytes += addedUnsent
  }

  function take(queue: Queue, counter: number): StoredPacket | undefined {
    const packet = queue.packets.get(counter)
    if (packet === undefined) return undefined
    queue.packets.delete(counter)
    count(queue, -bytesOf(packet), isUnsent(packet) ? -bytesOf(packet) : 0)
    return packet
  }

  const pool = {
    get bytes() {
      return bytes
    },
    /** A packet that is replaced keeps its place. */
    keep(queue: Queue, counter: number, packet: StoredPacket): void {
      const old = queue.packets.get(counter)
      if (old !== undefined) count(queue, -bytesOf(old), isUnsent(old) ? -bytesOf(old) : 0)
      queue.packets.set(counter, packet)
      count(queue, bytesOf(packet), isUnsent(packet) ? bytesOf(packet) : 0)
    },
    remove(queue: Queue, counter: number): StoredPacket | undefined {
      const row = queue.rows.get(counter)
      if (row !== undefined) rows.gone(row)
      queue.rows.delete(counter)
      return take(queue, counter)
    },
    sent(queue: Queue, packet: StoredPacket, messageId: number): void {
      if (isUnsent(packet)) count(queue, 0, -bytesOf(packet))
      packet.messageId = messageId
      pool.saveState(queue, packet)
    },
    saveState(queue: Queue, { brokerCounter, messageId = 0, cmd }: StoredPacket): void {
      const row = queue.rows.get(brokerCounter)
      if (row !== undefined) rows.sent(row, messageId, cmd === 'pubrel')
    },
    unsent(queue: Queue, packet: StoredPacket): void {
      delete packet.messageId
      count(queue, 0, bytesOf(packet))
      const { brokerCounter: counter } = packet
      const at = queue.unsent.findIndex((each) => each >= counter)
      if (at === -1) queue.unsent.push(counter)
      else if (queue.unsent[at] !== counter) queue.unsent.splice(at, 0, counter)
      queue.firstExpiryMs = Math.min(queue.firstExpiryMs, expiryOf(packet))
      pool.saveState(queue, packet)
    },
    /**
     * Makes room for a packet, by dropping packets of longer queues.
     *
     * @returns whether there is room now
     */
    makeRoom(queue: Queue, needed: number, dropped: () => void): boolean {
      if (queue.bytes + needed > queuedBytesMax * sessionShare) return false
      while (pool.bytes + needed > queuedBytesMax) {
        const longest = lengths.longest()
        if (longest === undefined || longest.unsentBytes <= 2 * (queue.bytes + needed)) return false
        const counter = newestUnsent(longest)
        if (counter === undefined) return false
        pool.remove(longest, counter)
        dropped()
      }
      return true
    },
  }
  return pool
}

/** Queues that are in memory alone. */
const noRows: QueueRows = Object.freeze({
  queued: () => undefined,
  sent: () => {},
  gone: () => {},
  restored: () => {},
})

/**
 * @param nowMs the monotonic clock
 * @param rows the packets on disk
 */
export function createSubscriberQueues(
  limits: SubscriberQueueLimits,
  nowMs: () => number = () => -Infinity,
  rows: QueueRows = noRows,
): SubscriberQueues {
  const queues = new Map<string, Queue>()
  const pool = createPool(limits, rows)

  function queueOf(clientId: string): Queue {
    const known = queues.get(clientId)
    if (known !== undefined) return known
    const queue = emptyQueue()
    queues.set(clientId, queue)
    return queue
  }

  return {
    enqueue(clientIds, packet) {
      if (clientIds.length === 0) return 0
      const kept = queuedPacket(packet)
      let notKept = 0
      const dropped = () => void notKept++
      for (const clientId of clientIds) {
        const queue = queueOf(clientId)
        if (!hasRoom({ pool, limits, nowMs }, queue, bytesOf(kept), dropped)) {
          notKept++
          continue
        }
        // A copy for each client, because their packet ids differ.
        add(pool, queue, { ...kept })
        const row = rows.queued(clientId, packet as KeptPacket)
        if (row !== undefined) queue.rows.set(packet.brokerCounter, row)
      }
      return notKept
    },
    update(clientId, packet) {
      const queue = queues.get(clientId)
      if (queue !== undefined) update(pool, queue, packet)
    },
    acknowledge: (clientId, messageId) => acknowledge(pool, queues.get(clientId), messageId),
    nextUnsent: (clientId) => nextUnsentOf(queues.get(clientId)),
    isUnsent(clientId, brokerCounter) {
      const queue = queues.get(clientId)
      return queue !== undefined && isUnsentIn(queue, brokerCounter)
    },
    unsend: (clientId, messageId) => unsend(pool, queues.get(clientId), messageId),
    isTaken: (clientId, messageId) => queues.get(clientId)?.counters.has(messageId) === true,
    drop(clientId, brokerCounter) {
      const queue = queues.get(clientId)
      const packet = queue && pool.remove(queue, brokerCounter)
      if (packet?.messageId !== undefined) queue?.counters.delete(packet.messageId)
    },
    each: (clientId) => eachOf(queues.get(clientId)),
    list: (clientId) => [...(queues.get(clientId)?.packets.values() ?? [])].map(markSent),
    countsOf: (clientId) => countsOf(queues.get(clientId)),
    forget(clientId) {
      const queue = queues.get(clientId)
      if (queue === undefined) return
      for (const counter of queue.packets.keys()) pool.remove(queue, counter)
      queues.delete(clientId)
    },
    restore(clientId, packet, row) {
      const queue = queueOf(clientId)
      const { messageId, brokerCounter } = packet
      queue.rows.set(brokerCounter, row)
      if (messageId !== undefined) queue.counters.set(messageId, brokerCounter)
      add(pool, queue, packet)
    },
    get bytes() {
      return pool.bytes
    },
  }
}

/** Makes room for a packet of so many bytes, where that is possible. */
function hasRoom(
  {
    pool,
    limits,
    nowMs,
  }: {
    readonly pool: ReturnType<typeof createPool>
    readonly limits: SubscriberQueueLimits
    readonly nowMs: () => number
  },
  queue: Queue,
  needed: number,
  dropped: () => void,
): boolean {
  if (nowMs() >= queue.firstExpiryMs) dropExpired(pool, queue, nowMs())
  return queue.packets.size < limits.queuedMax && pool.makeRoom(queue, needed, dropped)
}

function add(pool: ReturnType<typeof createPool>, queue: Queue, packet: StoredPacket): void {
  const { brokerCounter } = packet
  pool.keep(queue, brokerCounter, packet)
  noteUnsent(queue, brokerCounter)
  queue.firstExpiryMs = Math.min(queue.firstExpiryMs, expiryOf(packet))
}

function update(pool: ReturnType<typeof createPool>, queue: Queue, packet: StoredPacket): void {
  const { messageId } = packet
  if (messageId === undefined) return
  const known = queue.counters.get(messageId)
  if (packet.cmd === 'pubrel') {
    if (known === undefined) return
    pool.keep(queue, known, { ...packet, brokerCounter: known })
    pool.saveState(queue, { ...packet, brokerCounter: known })
    return
  }
  const free = known === packet.brokerCounter ? messageId : freeId(queue.counters, messageId)
  packet.messageId = free
  const kept = queue.packets.get(packet.brokerCounter)
  if (kept === undefined) return
  pool.sent(queue, kept, free)
  queue.counters.set(free, packet.brokerCounter)
}

function acknowledge(
  pool: ReturnType<typeof createPool>,
  queue: Queue | undefined,
  messageId: number,
): StoredPacket | undefined {
  const counter = queue?.counters.get(messageId)
  if (queue === undefined || counter === undefined) return undefined
  queue.counters.delete(messageId)
  return pool.remove(queue, counter)
}

function unsend(
  pool: ReturnType<typeof createPool>,
  queue: Queue | undefined,
  messageId: number,
): StoredPacket | undefined {
  const counter = queue?.counters.get(messageId)
  const packet = counter === undefined ? undefined : queue?.packets.get(counter)
  if (queue === undefined || packet === undefined) return undefined
  queue.counters.delete(messageId)
  pool.unsent(queue, packet)
  return packet
}

const countsOf = (queue: Queue | undefined) => ({
  unsent: (queue?.packets.size ?? 0) - (queue?.counters.size ?? 0),
  sent: queue?.counters.size ?? 0,
})

const emptyQueue = (): Queue => ({
  packets: new Map(),
  counters: new Map(),
  rows: new Map(),
  unsent: [],
  bytes: 0,
  unsentBytes: 0,
  firstExpiryMs: Infinity,
})

/** Messages whose time is over make room. Those that were sent are still to be acknowledged. */
function dropExpired(pool: ReturnType<typeof createPool>, queue: Queue, nowMs: number): void {
  queue.firstExpiryMs = Infinity
  for (const [counter, packet] of queue.packets) {
    if (!isUnsent(packet)) continue
    if (expiryOf(packet) <= nowMs) pool.remove(queue, counter)
    else queue.firstExpiryMs = Math.min(queue.firstExpiryMs, expiryOf(packet))
  }
}

function noteUnsent(queue: Queue, counter: number): void {
  queue.unsent.push(counter)
  // Most packets of connected subscribers are sent at once; these are cleared away now and then.
  if (queue.unsent.length <= 2 * queue.packets.size + 16) return
  queue.unsent = queue.unsent.filter((each) => isUnsentIn(queue, each))
}

function* eachOf(queue: Queue | undefined): Generator<StoredPacket> {
  for (const packet of queue?.packets.values() ?? []) yield markSent(packet)
}

function nextUnsentOf(queue: Queue | undefined): StoredPacket | undefined {
  const counter = queue && oldestUnsent(queue)
  return counter === undefined ? undefined : queue?.packets.get(counter)
}

function newestUnsent(queue: Queue): number | undefined {
  for (;;) {
    const counter = queue.unsent.pop()
    if (counter === undefined || isUnsentIn(queue, counter)) return counter
  }
}

function oldestUnsent(queue: Queue): number | undefined {
  const at = queue.unsent.findIndex((counter) => isUnsentIn(queue, counter))
  queue.unsent.splice(0, at === -1 ? queue.unsent.length : at)
  return queue.unsent[0]
}

function isUnsentIn(queue: Queue, counter: number): boolean {
  const packet = queue.packets.get(counter)
  return packet !== undefined && isUnsent(packet)
}

const packetIdMax = 65_535

/** The first packet id from `wanted` on that is not taken: a queue has fewer packets than ids. */
function freeId(taken: ReadonlyMap<number, unknown>, wanted: number): number {
  let id = wanted
  while (taken.has(id) && taken.size < packetIdMax) id = (id % packetIdMax) + 1
  return id
}

/** Whether a queued message was published with RETAIN. */
export const wasRetained = (packet: StoredPacket): boolean =>
  (packet as { readonly wasRetained?: boolean }).wasRetained === true
