import { carriedBy, carriedBytes, recarry, storedPart } from './carried-properties.ts'
import type { StoredPacket } from './subscriber-queues.ts'

/** It was not sent. */
export const isUnsent = ({ messageId }: StoredPacket): boolean => messageId === undefined

/** When it expires, by the monotonic clock; Infinity: never. */
export const expiryOf = (packet: StoredPacket): number =>
  (packet.cmd === 'publish' ? carriedBy(packet)?.expiresAtMs : undefined) ?? Infinity

/** Approximate memory of a queued packet beside its topic and payload. */
const packetBytes = 200

export const bytesOf = (packet: StoredPacket): number =>
  packetBytes +
  (packet.cmd === 'publish'
    ? packet.payload.length + packet.topic.length + carriedBytes(carriedBy(packet))
    : 0)

/**
 * Copies a packet with its payload, which may be a view of a larger buffer. RETAIN is 0 for a
 * subscription that existed when the message was published, [MQTT-3.3.1-9], unless it is one of
 * MQTT 5 that wants to know how it was published.
 */
export function queuedPacket(packet: StoredPacket): StoredPacket {
  if (packet.cmd !== 'publish') return { ...packet }
  const kept: StoredPacket & { wasRetained?: boolean } = {
    ...packet,
    payload: Buffer.from(packet.payload),
    retain: false,
  }
  if (packet.retain) kept.wasRetained = true
  const carried = carriedBy(packet)
  const stored = storedPart(carried)
  if (stored !== undefined) recarry(kept, stored)
  else if (carried !== undefined) delete kept.properties
  return kept
}

/** A packet that was sent before is marked duplicate. */
export function markSent(packet: StoredPacket): StoredPacket {
  const isSent = packet.cmd === 'publish' && packet.messageId !== undefined
  return isSent ? { ...packet, dup: true } : packet
}
