import type { Client } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { carriedBy, isExpired } from '../kept/carried-properties.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { encodeVariable } from '../mqtt5/property-block.ts'
import type { Outlet } from '../sharing/member.ts'
import type { Connection } from './connection.ts'

/** Where Aedes' client has its next packet id; its declared type leaves it out. */
const idMember = '_nextId'

interface Mqtt311OutletDependencies {
  readonly connection: Pick<Connection, 'messagesOut'>
  readonly queues: SubscriberQueues
  readonly clock: Clock
}

const packetIdMax = 65_535

/**
 * Sends messages of groups to a client of MQTT 3.1.1, past Aedes, which does not know which of its
 * messages a clean session has acknowledged.
 *
 * @param isAwaited whether a message of a group has this packet id
 */
export function createMqtt311Outlet(
  { queues, clock, connection }: Mqtt311OutletDependencies,
  client: Client,
  isAwaited: (packetId: number) => boolean,
): Outlet {
  const { conn } = client
  const isTaken = (packetId: number): boolean =>
    isAwaited(packetId) || queues.isTaken(client.id, packetId)
  const numbers = shareNumbers(client, isAwaited)

  function nextId(): number {
    let packetId = numbers.next()
    // A client has fewer unacknowledged messages than there are packet ids.
    while (isTaken(packetId)) packetId = numbers.next()
    return packetId
  }

  return {
    get isOpen() {
      return !client.closed && !conn.destroyed
    },
    hasWindow: true,
    get isFull() {
      return conn.writableNeedDrain
    },
    send({ packet, qos, retain }, { dup, packetId: wanted }, done) {
      if (isExpired(carriedBy(packet), clock.monotonicMs())) {
        done()
        return undefined
      }
      let packetId: number | undefined
      if (qos > 0) packetId = wanted === undefined || isTaken(wanted) ? nextId() : wanted
      const payload = packet.payload as Buffer
      const bytes = publish({ topic: packet.topic, payload, qos, retain, dup, packetId })
      connection.messagesOut++
      if (conn.write(bytes)) done()
      else conn.once('drain', done)
      return packetId
    },
    whenRead: (read) => void conn.once('drain', read),
  }
}

/** Makes Aedes' own packet ids skip those of groups. */
function shareNumbers(client: Client, isAwaited: (packetId: number) => boolean) {
  const numbering = client as object as Record<typeof idMember, number>
  let nextId = numbering[idMember]
  Object.defineProperty(client, idMember, {
    get: () => nextId,
    set(wanted: number) {
      nextId = wanted
      while (isAwaited(nextId)) nextId = after(nextId)
    },
  })
  return {
    next(): number {
      const packetId = nextId
      numbering[idMember] = after(packetId)
      return packetId
    },
  }
}

const after = (packetId: number): number => (packetId >= packetIdMax ? 1 : packetId + 1)

interface OutgoingPublish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly dup: boolean
  /** Undefined for QoS 0. */
  readonly packetId: number | undefined
}

/** Section 3.3. */
function publish({ topic, payload, qos, retain, dup, packetId }: OutgoingPublish): Buffer {
  const topicBytes = Buffer.byteLength(topic)
  const length = encodeVariable(2 + topicBytes + (qos > 0 ? 2 : 0) + payload.length)
  const head = Buffer.allocUnsafe(1 + length.length + 2 + topicBytes + (qos > 0 ? 2 : 0))
  head[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = 1 + length.copy(head, 1)
  at = head.writeUInt16BE(topicBytes, at)
  at += head.write(topic, at)
  if (packetId !== undefined) head.writeUInt16BE(packetId, at)
  return Buffer.concat([head, payload])
}
