import type MemoryPersistence from 'aedes-persistence/asyncPersistence.js'
import { carriedBy, carriedBytes } from './carried-properties.ts'
import { createQueueLengths } from './queue-lengths.ts'

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
  forget(clientId: string): void
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
function createPool({ queuedBytesMax }: SubscriberQueueLimits) {
  const lengths = createQueueLengths<Queue>()
  let bytes = 0

  function count(queue: Queue, added: number, addedUnsent: number): void {
    bytes += added
    queue.bytes += added
    if (addedUnsent === 0) return
    lengths.changed(queue, queue.unsentBytes, queue.unsentBytes + addedUnsent)
    queue.unsentBytes += addedUnsent
  }

  const pool = {
    get bytes() {
      return bytes
    },
    keep(queue: Queue, counter: number, packet: StoredPacket): void {
      pool.remove(queue, counter)
      queue.packets.set(counter, packet)
      count(queue, bytesOf(packet), isUnsent(packet) ? bytesOf(packet) : 0)
    },
    remove(queue: Queue, counter: number): StoredPacket | undefined {
      const packet = queue.packets.get(counter)
      if (packet === undefined) return undefined
      queue.packets.delete(counter)
      count(queue, -bytesOf(packet), isUnsent(packet) ? -bytesOf(packet) : 0)
      return packet
    },
    sent(queue: Queue, packet: StoredPacket, messageId: number): void {
      if (isUnsent(packet)) count(queue, 0, -bytesOf(packet))
      packet.messageId = messageId
    },
    unsent(queue: Queue, packet: StoredPacket): void {
      delete packet.messageId
      count(queue, 0, bytesOf(packet))
      const { brokerCounter: counter } = packet
      const at = queue.unsent.findIndex((each) => each >= counter)
      if (at === -1) queue.unsent.push(counter)
      else if (queue.unsent[at] !== counter) queue.unsent.splice(at, 0, counter)
      queue.firstExpiryMs = Math.min(queue.firstExpiryMs, expiryOf(packet))
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

/** @param nowMs the monotonic clock */
export function createSubscriberQueues(
  limits: SubscriberQueueLimits,
  nowMs: () => number = () => -Infinity,
): SubscriberQueues {
  const queues = new Map<string, Queue>()
  const pool = createPool(limits)

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
      const kept = detach(packet)
      let notKept = 0
      const dropped = () => void notKept++
      for (const clientId of clientIds) {
        const queue = queueOf(clientId)
        if (nowMs() >= queue.firstExpiryMs) dropExpired(pool, queue, nowMs())
        const isFull = queue.packets.size >= limits.queuedMax
        if (isFull || !pool.makeRoom(queue, bytesOf(kept), dropped)) {
          notKept++
          continue
        }
        // A copy for each client, because their packet ids differ.
        pool.keep(queue, packet.brokerCounter, { ...kept })
        noteUnsent(queue, packet.brokerCounter)
        queue.firstExpiryMs = Math.min(queue.firstExpiryMs, expiryOf(kept))
      }
      return notKept
    },
    update(clientId, packet) {
      const queue = queues.get(clientId)
      if (queue !== undefined) update(pool, queue, packet)
    },
    acknowledge: (clientId, messageId) => acknowledge(pool, queues.get(clientId), messageId),
    nextUnsent(clientId) {
      const queue = queues.get(clientId)
      const counter = queue && oldestUnsent(queue)
      return counter === undefined ? undefined : queue?.packets.get(counter)
    },
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
    list: (clientId) => [...(queues.get(clientId)?.packets.values() ?? [])].map(markSent),
    forget(clientId) {
      const queue = queues.get(clientId)
      if (queue === undefined) return
      for (const counter of queue.packets.keys()) pool.remove(queue, counter)
      queues.delete(clientId)
    },
    get bytes() {
      return pool.bytes
    },
  }
}

function update(pool: ReturnType<typeof createPool>, queue: Queue, packet: StoredPacket): void {
  const { messageId } = packet
  if (messageId === undefined) return
  const known = queue.counters.get(messageId)
  if (packet.cmd === 'pubrel') {
    if (known !== undefined) pool.keep(queue, known, { ...packet, brokerCounter: known })
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

const isUnsent = ({ messageId }: StoredPacket): boolean => messageId === undefined

const emptyQueue = (): Queue => ({
  packets: new Map(),
  counters: new Map(),
  unsent: [],
  bytes: 0,
  unsentBytes: 0,
  firstExpiryMs: Infinity,
})

const expiryOf = (packet: StoredPacket): number =>
  (packet.cmd === 'publish' ? carriedBy(packet)?.expiresAtMs : undefined) ?? Infinity

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

/** Approximate memory of a queued packet beside its topic and payload. */
const packetBytes = 200

const bytesOf = (packet: StoredPacket): number =>
  packetBytes +
  (packet.cmd === 'publish'
    ? packet.payload.length + packet.topic.length + carriedBytes(carriedBy(packet))
    : 0)

/**
 * Copies a packet with its payload, which may be a view of a larger buffer. RETAIN is 0 for a
 * subscription that existed when the message was published, [MQTT-3.3.1-9], unless it is one of
 * MQTT 5 that wants to know how it was published.
 */
function detach(packet: StoredPacket): StoredPacket {
  if (packet.cmd !== 'publish') return { ...packet }
  const kept: StoredPacket & { wasRetained?: boolean } = {
    ...packet,
    payload: Buffer.from(packet.payload),
    retain: false,
  }
  if (packet.retain) kept.wasRetained = true
  return kept
}

/** Whether a queued message was published with RETAIN. */
export const wasRetained = (packet: StoredPacket): boolean =>
  (packet as { readonly wasRetained?: boolean }).wasRetained === true

function markSent(packet: StoredPacket): StoredPacket {
  const isSent = packet.cmd === 'publish' && packet.messageId !== undefined
  return isSent ? { ...packet, dup: true } : packet
}
