import type { Duplex } from 'node:stream'
import type { AedesPublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { Mqtt5Properties } from '../../message.ts'
import { carriedBy, isExpired } from '../kept/carried-properties.ts'
import type { CarriedProperties } from '../kept/carried-properties.ts'
import type { StoredPacket, SubscriberQueues } from '../kept/subscriber-queues.ts'
import type { MatchedOptions } from './matched-options.ts'
import { acknowledgement, publish } from './packets-out.ts'
import { messageBlock } from './property-block.ts'
import { reasonCode } from './reason-codes.ts'

/** Writes messages to one client, and knows which of them are not answered. */
interface Sender {
  /** Whether the client takes another message of QoS 1 or 2. */
  readonly hasRoom: boolean
  /** Messages that were written, and those of QoS 1 and 2 that are not answered. */
  readonly sentCount: () => number
  readonly unanswered: () => number
  /** What is written waits for the client to read. */
  readonly isFull: boolean
  /**
   * @param done called when more may be written, also when the message is not to be sent
   * @param acknowledged called at its PUBACK
   */
  send(outgoing: Outgoing, done: () => void, acknowledged?: () => void): void
  /** The same for a message of the client's queue, which it leaves when it is not to be sent. */
  sendQueued(outgoing: Outgoing, brokerCounter: number, done: () => void): void
  /**
   * Sends a message that is not in the client's queue.
   *
   * @param as its packet id, unless that is taken, and whether the client may have it already
   * @returns the packet id of QoS 1 and 2; undefined for a message that is not sent, too
   */
  sendAs(
    outgoing: Outgoing,
    as: { readonly dup: boolean; readonly packetId?: number | undefined },
    done: () => void,
  ): number | undefined
  /** Sends a message, or its PUBREL, under the packet id that it had on an earlier connection. */
  sendAgain(packet: StoredPacket, mayForward: boolean): void
  /** The packet id is taken by a message that is sent again later. */
  reserve(packetId: number): void
  /** @returns false when no such message was sent */
  completed(packetId: number): boolean
  received(packetId: number): void
}

export interface Outgoing {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly carried: CarriedProperties | undefined
  readonly identifiers: readonly number[]
}

interface SenderDependencies {
  readonly clientId: string
  readonly stream: Duplex
  readonly queues: SubscriberQueues
  readonly clock: Clock
}

export interface SenderLimits {
  readonly receiveMaximum: number
  /** Larger packets are not sent, and count as delivered, [MQTT-3.1.2-25]. */
  readonly maximumPacketSize: number
}

const packetIdMax = 65_535
const nothing = (): void => {}

export function createSender(
  { clientId, stream, queues, clock }: SenderDependencies,
  { receiveMaximum, maximumPacketSize }: SenderLimits,
): Sender {
  /** Packet ids of messages that are sent and not answered, each with who is told of the answer. */
  const flights = new Map<number, (() => void) | undefined>()
  const reserved = new Set<number>()
  let sentCount = 0
  const idFor = createPacketIds((packetId) => flights.has(packetId) || reserved.has(packetId))

  const write = (bytes: Buffer, done: () => void): void => writeTo(stream, bytes, done)

  /** @returns whether the message is sent: not when it is too late or too large */
  function sendAs(outgoing: Outgoing, flight: Flight, done: () => void): boolean {
    const bytes = packetOf(outgoing, flight, clock.monotonicMs())
    if (bytes === undefined || bytes.length > maximumPacketSize) {
      done()
      return false
    }
    if (flight.packetId !== undefined) flights.set(flight.packetId, flight.acknowledged)
    sentCount++
    write(bytes, done)
    return true
  }

  return {
    get hasRoom() {
      return flights.size < receiveMaximum && !stream.destroyed
    },
    sentCount: () => sentCount,
    unanswered: () => flights.size,
    get isFull() {
      return stream.writableNeedDrain
    },
    send(outgoing, done, acknowledged) {
      sendAs(outgoing, { packetId: idFor(outgoing), dup: false, acknowledged }, done)
    },
    sendAs(outgoing, { dup, packetId: wanted }, done) {
      const packetId = idFor(outgoing, wanted)
      return sendAs(outgoing, { packetId, dup }, done) ? packetId : undefined
    },
    sendQueued(outgoing, brokerCounter, done) {
      const messageId = idFor(outgoing)
      const isSent = sendAs(outgoing, { packetId: messageId, dup: false }, done)
      if (!isSent || messageId === undefined) queues.drop(clientId, brokerCounter)
      else queues.update(clientId, { cmd: 'publish', brokerCounter, messageId } as StoredPacket)
    },
    sendAgain(packet, mayForward) {
      const { messageId = 0, brokerCounter } = packet
      reserved.delete(messageId)
      if (packet.cmd === 'publish') {
        const outgoing = outgoingOf(packet, withoutOptions(packet), false)
        const isSent = mayForward && sendAs(outgoing, { packetId: messageId, dup: true }, nothing)
        if (!isSent) queues.drop(clientId, brokerCounter)
      } else {
        flights.set(messageId, undefined)
        write(acknowledgement('pubrel', messageId, reasonCode.success), nothing)
      }
    },
    reserve: (packetId) => void reserved.add(packetId),
    completed(packetId) {
      const acknowledged = flights.get(packetId)
      if (!flights.delete(packetId)) return false
      queues.acknowledge(clientId, packetId)
      acknowledged?.()
      return true
    },
    received(packetId) {
      const isKnown = flights.has(packetId)
      if (isKnown) queues.update(clientId, { cmd: 'pubrel', messageId: packetId } as StoredPacket)
      const code = isKnown ? reasonCode.success : reasonCode.packetIdNotFound
      write(acknowledgement('pubrel', packetId, code), nothing)
    },
  }
}

function writeTo(stream: Duplex, bytes: Buffer, done: () => void): void {
  if (stream.destroyed || stream.write(bytes)) done()
  else stream.once('drain', done)
}

/** @returns a function that gives a message of QoS 1 or 2 the wanted packet id, or a free one */
function createPacketIds(isTaken: (packetId: number) => boolean) {
  let latest = 0
  return ({ qos }: Outgoing, wanted?: number): number | undefined => {
    if (qos === 0) return undefined
    if (wanted !== undefined && !isTaken(wanted)) return wanted
    do latest = (latest % packetIdMax) + 1
    while (isTaken(latest))
    return latest
  }
}

/** For a message whose subscription is not known any more. */
export const withoutOptions = ({ qos }: { readonly qos: 0 | 1 | 2 }): MatchedOptions => ({
  qos,
  retainAsPublished: false,
  identifiers: [],
})

export function outgoingOf(
  packet: Pick<AedesPublishPacket, 'topic' | 'payload' | 'qos' | 'properties'>,
  { qos, identifiers }: MatchedOptions,
  retain: boolean,
  carried: CarriedProperties | undefined = carriedBy(packet),
): Outgoing {
  return {
    topic: packet.topic,
    payload: packet.payload as Buffer,
    qos: packet.qos < qos ? packet.qos : qos,
    retain,
    carried,
    identifiers,
  }
}

interface Flight {
  /** Undefined for QoS 0. */
  readonly packetId: number | undefined
  readonly dup: boolean
  readonly acknowledged?: (() => void) | undefined
}

/** @returns undefined when the time of the message is over */
function packetOf(outgoing: Outgoing, flight: Flight, nowMs: number): Buffer | undefined {
  const { carried } = outgoing
  if (isExpired(carried, nowMs)) return undefined
  const leftMs = carried?.expiresAtMs === undefined ? undefined : carried.expiresAtMs - nowMs
  return publish({
    ...outgoing,
    ...flight,
    properties: carried?.mqtt5 && blockOf(carried, carried.mqtt5),
    // The remaining time is rounded down, as AWS IoT does.
    expirySeconds: leftMs === undefined ? undefined : Math.floor(leftMs / 1_000),
    subscriptionIdentifiers: outgoing.identifiers,
  })
}

/** The properties as bytes: made once for all subscribers of a message. */
const blocks = new WeakMap<CarriedProperties, Buffer>()

function blockOf(carried: CarriedProperties, mqtt5: Mqtt5Properties): Buffer {
  const known = blocks.get(carried)
  if (known !== undefined) return known
  const block = messageBlock(mqtt5)
  blocks.set(carried, block)
  return block
}
