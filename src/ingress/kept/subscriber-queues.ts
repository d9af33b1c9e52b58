import type MemoryPersistence from 'aedes-persistence/asyncPersistence.js'

/** A packet as Aedes stores it, with the broker's counter. */
export type StoredPacket = Parameters<MemoryPersistence['outgoingUpdate']>[1]

/**
 * The messages of QoS 1 and 2 that a session still owes its subscriber: those that came while it was
 * away, and those that were sent and have no answer yet.
 *
 * A full queue takes no more, so that what is dropped is the newest: what a subscriber gets is then
 * without gaps up to a point, and no handshake that is under way loses its message. One that is connected gets
 * a dropped message all the same; it is only not sent again.
 *
 * A packet is known by the broker's counter from the start, and by its packet id once it was sent.
 */
export interface SubscriberQueues {
  /** @returns for how many of the clients it was not kept */
  enqueue(clientIds: readonly string[], packet: StoredPacket): number
  /**
   * The packet is being sent under this packet id, or its PUBREL is ([MQTT-4.3.3-1]). If another
   * packet of the session has the id, the packet is given one that is free, [MQTT-2.3.1-4]: Aedes
   * counts them for each connection anew and knows nothing of those of earlier ones.
   */
  update(clientId: string, packet: StoredPacket): void
  /** PUBACK or PUBCOMP came. @returns the packet, where it was kept */
  acknowledge(clientId: string, messageId: number): StoredPacket | undefined
  /** All that is owed, oldest first. What was sent before is a duplicate, [MQTT-3.3.1-1]. */
  list(clientId: string): readonly StoredPacket[]
  forget(clientId: string): void
  readonly bytes: number
}

interface SubscriberQueueLimits {
  /** Messages that a session keeps for its subscriber. */
  readonly queuedMax: number
  /** Bytes of the queues of all sessions together. */
  readonly queuedBytesMax: number
}

interface Queue {
  /** By the broker's counter, in the order of arrival. */
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
        // Each its own: the packet id differs.
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

/** What a kept packet costs beside its payload, roughly. */
const packetBytes = 200

const bytesOf = (packet: StoredPacket): number =>
  packetBytes + (packet.cmd === 'publish' ? packet.payload.length + packet.topic.length : 0)

/**
 * With a payload of its own: the packet's may be a view of a larger buffer. RETAIN is 0 for a
 * subscription that stood when the message was published, [MQTT-3.3.1-9].
 */
function detach(packet: StoredPacket): StoredPacket {
  if (packet.cmd !== 'publish') return { ...packet }
  return { ...packet, payload: Buffer.from(packet.payload), retain: false }
}

function markSent(packet: StoredPacket): StoredPacket {
  const isSent = packet.cmd === 'publish' && packet.messageId !== undefined
  return isSent ? { ...packet, dup: true } : packet
}
