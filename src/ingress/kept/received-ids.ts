import { crc32 } from 'node:zlib'
import type { PublishPacket } from 'aedes'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { BoundedMap } from '../../base/bounded-map.ts'
import type { MessageSender } from '../../message.ts'

/**
 * The QoS 2 messages of a session whose handshake is open: their PUBLISH came, and no PUBREL yet.
 * A message that is sent again, even on a later connection, is ingested and distributed once,
 * [MQTT-4.3.3-2]. This is the only record of these packet ids. Aedes uses it too, through
 * `persistence.ts`, because it would look into its own store only after the hook that ingests.
 *
 * A client that restarts without its state counts packet ids from 1 again, and may send another
 * message under an id whose handshake is open. If that were answered as a duplicate, the message
 * would be acknowledged and lost, so a message with another topic or payload replaces the one
 * before it.
 */
export interface ReceivedIds {
  /**
   * Calls `ingest` for the first PUBLISH of this message and gives its outcome to the first and to
   * every later one. If it fails, the next PUBLISH counts as the first again.
   *
   * @param sender the connection of this PUBLISH; `ingest` is given one that stands for the latest
   */
  ingestOnce(
    packet: PublishPacket,
    sender: MessageSender,
    ingest: (latest: MessageSender) => Promise<void>,
  ): Promise<void>
  /** The message of this PUBLISH is being handed to the subscribers. */
  distributing(packet: PublishPacket): void
  /** Whether it has been handed to them, also for an earlier PUBLISH of it. */
  isDistributed(packet: PublishPacket): boolean
  /** Whether the handshake of this packet id is open. */
  has(packetId: number): boolean
  /** PUBREL came: the client may use the packet id for another message. */
  release(packetId: number): void
}

/** Handshakes that one connection may have open; Aedes ends a connection that has more. */
export const openHandshakesMax = 1_000

/**
 * Handshakes that a session remembers. The oldest beyond it is of an earlier connection; if its
 * message is sent again after all, it is ingested again.
 */
const rememberedMax = 2 * openHandshakesMax

interface Handshake {
  readonly fingerprint: number
  readonly outcome: Promise<void>
  readonly senders: LatestSender
  isDistributed: boolean
}

interface LatestSender extends MessageSender {
  latest: MessageSender
}

const latestSender = (sender: MessageSender): LatestSender => ({
  latest: sender,
  get closed() {
    return this.latest.closed
  },
  get signal() {
    return this.latest.signal
  },
})

export function createReceivedIds(): ReceivedIds & { readonly size: number } {
  return new OpenHandshakes()
}

/** A class, because every connection has one; most send no message of QoS 2. */
class OpenHandshakes implements ReceivedIds {
  /** Made for the first message. */
  private handshakes: BoundedMap<number, Handshake> | undefined
  /** A PUBLISH belongs to its handshake even when its packet id stands for another by now. */
  private handshakeOf: WeakMap<object, Handshake> | undefined

  get size(): number {
    return this.handshakes?.size ?? 0
  }

  ingestOnce(
    packet: PublishPacket,
    sender: MessageSender,
    ingest: (latest: MessageSender) => Promise<void>,
  ): Promise<void> {
    this.handshakes ??= createBoundedMap(rememberedMax)
    this.handshakeOf ??= new WeakMap()
    const { messageId = 0 } = packet
    const fingerprint = fingerprintOf(packet)
    const known = this.handshakes.get(messageId)
    if (known?.fingerprint === fingerprint) {
      known.senders.latest = sender
      this.handshakeOf.set(packet, known)
      return known.outcome
    }
    const senders = latestSender(sender)
    const outcome = ingest(senders)
    this.handshakeOf.set(
      packet,
      begin(this.handshakes, messageId, { fingerprint, outcome, senders }),
    )
    return outcome
  }

  distributing(packet: PublishPacket): void {
    const handshake = this.handshakeOf?.get(packet)
    if (handshake !== undefined) handshake.isDistributed = true
  }

  isDistributed(packet: PublishPacket): boolean {
    return this.handshakeOf?.get(packet)?.isDistributed === true
  }

  has(packetId: number): boolean {
    return this.handshakes?.has(packetId) === true
  }

  release(packetId: number): void {
    this.handshakes?.delete(packetId)
  }
}

function begin(
  handshakes: BoundedMap<number, Handshake>,
  packetId: number,
  started: Omit<Handshake, 'isDistributed'>,
): Handshake {
  const handshake: Handshake = { ...started, isDistributed: false }
  handshakes.set(packetId, handshake)
  handshake.outcome.catch(() => {
    if (handshakes.get(packetId) === handshake) handshakes.delete(packetId)
  })
  return handshake
}

/** A CRC-32 of topic and payload with their length above it, within 2^53. */
function fingerprintOf({ topic, payload }: PublishPacket): number {
  return (topic.length + payload.length) * 2 ** 32 + crc32(payload, crc32(topic))
}
