import type MemoryPersistence from 'aedes-persistence/asyncPersistence.js'

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
 * A packet is identified by the broker's counter, and also by its packet id once it was sent.
 */
export interface SubscriberQueues {
  /** @returns for how many of the clients the packet was not queued */
  enqueue(clientIds: readonly string[], packet: StoredPacket): number
  /**
   * The packet, or its PUBREL ([MQTT-4.3.3-1]), is being sent under this packet id. If another
   * packet of the session has the id, the packet gets a free one, [MQTT-2.3.1-4]: Aedes numbers
   * packets anew for each connection and does not know the ids of earlier ones.
   */
  update(clientId: string, packet: StoredPacket): void
  /** PUBACK or PUBCOMP came. @returns the packet, if it was queued */
  acknowledge(clientId: string, messageId: number): StoredPacket | undefined
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
}

export function createSubscriberQueues(limits: SubscriberQueueLimits): SubscriberQueues {
  const queues = new Map<string, Queue>()
  let bytes = 0

  function queueOf(clientId: string): Queue {
    const known = queues.get(clientId)
    if (known !== undefined) return known
    const queue: Queue = { packets: new Map(), counters: new Map() }
    queues.set(clientId, queue)
    return queue
  }

  function keep(queue: Queue, counter: number, packet: StoredPacket): void {
    const before = queue.packets.get(counter)
    bytes += bytesOf(packet) - (before === undefined ? 0 : bytesOf(before))
    queue.packets.set(counter, packet)
  }

  function remove(queue: Queue, counter: number): StoredPacket | undefined {
    const packet = queue.packets.get(counter)
    if (packet === undefined) return undefined
    bytes -= bytesOf(packet)
    queue.packets.delete(counter)
    return packet
  }

  return {
    enqueue(clientIds, packet) {
      if (clientIds.length === 0) return 0
      const kept = detach(packet)
      let notKept = 0
      for (const clientId of clientIds) {
        const queue = queueOf(clientId)
        const isOver = bytes + bytesOf(kept) > limits.queuedBytesMax
        if (isOver || queue.packets.size >= limits.queuedMax) notKept++
        // A copy for each client, because their packet ids differ.
        else keep(queue, packet.brokerCounter, { ...kept })
      }
      return notKept
    },
    update(clientId, packet) {
      const queue = queues.get(clientId)
      const { messageId } = packet
      if (queue === undefined || messageId === undefined) return
      const known = queue.counters.get(messageId)
      if (packet.cmd === 'pubrel') {
        if (known !== undefined) keep(queue, known, { ...packet, brokerCounter: known })
        return
      }
      const free = known === packet.brokerCounter ? messageId : freeId(queue.counters, messageId)
      packet.messageId = free
      const kept = queue.packets.get(packet.brokerCounter)
      if (kept === undefined) return
      kept.messageId = free
      queue.counters.set(free, packet.brokerCounter)
    },
    acknowledge(clientId, messageId) {
      const queue = queues.get(clientId)
      const counter = queue?.counters.get(messageId)
      if (queue === undefined || counter === undefined) return undefined
      queue.counters.delete(messageId)
      return remove(queue, counter)
    },
    list: (clientId) => [...(queues.get(clientId)?.packets.values() ?? [])].map(markSent),
    forget(clientId) {
      const queue = queues.get(clientId)
      if (queue === undefined) return
      for (const counter of queue.packets.keys()) remove(queue, counter)
      queues.delete(clientId)
    },
    get bytes() {
      return bytes
    },
  }
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
  packetBytes + (packet.cmd === 'publish' ? packet.payload.length + packet.topic.length : 0)

/**
 * Copies a packet with its payload, which may be a view of a larger buffer. RETAIN is 0 for a
 * subscription that existed when the message was published, [MQTT-3.3.1-9].
 */
function detach(packet: StoredPacket): StoredPacket {
  if (packet.cmd !== 'publish') return { ...packet }
  return { ...packet, payload: Buffer.from(packet.payload), retain: false }
}

function markSent(packet: StoredPacket): StoredPacket {
  const isSent = packet.cmd === 'publish' && packet.messageId !== undefined
  return isSent ? { ...packet, dup: true } : packet
}
