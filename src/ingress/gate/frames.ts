import { findRetainFault, findTopicFault, wireTopicBytesMax } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'

/**
 * MQTT control packets as bytes (a "frame" is one packet): just enough of MQTT 3.1.1 section 2
 * to find where a frame ends and what must not reach the broker. Everything here is a pure
 * function of a buffer and an offset, runs for every message, and allocates only for a fault.
 *
 *   frame   = type and flags (1 byte), remaining length (1 to 4 bytes), remaining bytes
 *   PUBLISH = topic length (2), topic, packet id (2; only QoS 1 and 2), payload
 *   SUBSCRIBE = packet id (2), then for each filter: its length (2), the filter, QoS (1)
 */
export const packetType = Object.freeze({
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
  auth: 15,
})

export interface FrameFault {
  readonly reason:
    | 'payload_too_large'
    | 'packet_too_large'
    | 'packet_invalid'
    | 'topic_invalid'
    | 'topic_reserved'
    | 'too_many_filters'
    | 'not_connect'
    | 'protocol_error'
    | 'protocol_version'
    | 'client_id_invalid'
    | 'will_invalid'
    | 'authentication_method'
    | 'qos_not_supported'
    | 'topic_alias'
    | 'receive_maximum'
    | 'subscription_identifier'
    | 'properties_too_large'
  readonly detail: string
  /** The reason code of MQTT 5 where it does not follow from `reason`. */
  readonly reasonCode?: number | undefined
  /** The topic of a PUBLISH, where it could be read. */
  readonly topic?: string | undefined
  /** Bytes: of the payload for a PUBLISH, else of the packet. */
  readonly size?: number | undefined
  /** The frame alone is left out, without an answer, and the connection goes on. */
  readonly isIgnored?: boolean | undefined
}

export interface FrameLimits extends TopicLimits {
  readonly payloadBytesMax: number
  /** Filters of one SUBSCRIBE. */
  readonly filtersPerSubscribeMax: number
  /** Packets that ask for a higher QoS are ignored. */
  readonly qosMax: number
}

/** Other packets may be as large as a payload and this: a CONNECT carries up to four texts. */
const packetOverheadBytesMax = 16 * 1024

export const typeOf = (bytes: Buffer, offset: number): number => byteAt(bytes, offset) >> 4

/** The two bits of QoS in the fixed header of a PUBLISH: 0 to 3. */
export const qosOf = (bytes: Buffer, offset: number): number => (byteAt(bytes, offset) >> 1) & 3

const byteAt = (bytes: Buffer, offset: number): number => bytes[offset] ?? 0

/** The lowest protocol level that has reason codes and properties. */
const mqtt5Level = 5
/** Levels from here on are those of bridges, which some brokers mark so. */
const bridgeLevels = 0x80
/** The protocol name of a CONNECT with its length. */
const protocolName = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54])

/** Whether a whole CONNECT is of MQTT 5 or of a later version. */
export function isMqtt5Connect(bytes: Buffer, offset: number, length: number): boolean {
  const body = bodyStart(bytes, offset)
  const levelAt = body + protocolName.length
  if (levelAt >= offset + length || !protocolName.equals(bytes.subarray(body, levelAt)))
    return false
  const level = byteAt(bytes, levelAt)
  return level >= mqtt5Level && level < bridgeLevels
}

/** Where the body of a frame begins, behind its fixed header. */
export function bodyStart(bytes: Buffer, offset: number): number {
  return offset + (decodeLength(bytes, offset) & 7)
}

const lengthIncomplete = -1
const lengthMalformed = -2

/**
 * Decodes the remaining length, [MQTT-2.2.3].
 *
 * @returns `remaining * 8 + bytes of the fixed header`, so that two numbers come without an object;
 *   or `lengthIncomplete`, or `lengthMalformed` (a fourth byte that says that more follow)
 */
function decodeLength(bytes: Buffer, offset: number): number {
  let remaining = 0
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[offset + index]
    if (byte === undefined) return lengthIncomplete
    remaining += (byte & 0x7f) << (7 * (index - 1))
    if (byte < 0x80) return remaining * 8 + index + 1
  }
  return lengthMalformed
}

/**
 * The length in bytes of a frame whose remaining length is `remaining` and is encoded in as few
 * bytes as possible. A parsed packet no longer tells how many bytes were spent on it.
 */
export function frameBytes(remaining: number): number {
  if (remaining < 0x80) return remaining + 2
  if (remaining < 0x4000) return remaining + 3
  return remaining + (remaining < 0x20_0000 ? 4 : 5)
}

/** The length in bytes of a frame that `measureFrame` found whole. */
export function frameLength(bytes: Buffer, offset: number): number {
  const header = decodeLength(bytes, offset)
  return (header & 7) + (header >>> 3)
}

/**
 * The length that `frameBytes` gives for the parsed packet. A client may encode the remaining
 * length in more bytes than necessary, but the bytes that are counted in must equal those counted
 * out.
 */
export function countedBytes(bytes: Buffer, offset: number): number {
  return frameBytes(decodeLength(bytes, offset) >>> 3)
}

/**
 * Measures the frame that begins at `offset`, of which only a part may have arrived. A frame that
 * is too large is a fault as soon as its fixed header (for a PUBLISH, its topic) is read, so it is
 * never buffered.
 *
 * @returns the length of a whole frame; for a partial frame, minus the bytes that must be there
 *   before measuring again helps; or what is wrong with it
 */
export function measureFrame(
  bytes: Buffer,
  offset: number,
  limits: FrameLimits,
): number | FrameFault {
  const { payloadBytesMax } = limits
  const available = bytes.length - offset
  const header = decodeLength(bytes, offset)
  if (header === lengthIncomplete) return -(available + 1)
  if (header === lengthMalformed) {
    return { reason: 'packet_invalid', detail: 'the remaining length has more than four bytes' }
  }
  const headerBytes = header & 7
  const remaining = header >>> 3
  if (typeOf(bytes, offset) === packetType.publish) {
    const remainingMax = 2 + wireTopicBytesMax(limits) + 2 + payloadBytesMax
    if (remaining > remainingMax) return describeOversize(bytes, offset, header, limits)
  } else if (remaining > payloadBytesMax + packetOverheadBytesMax) {
    return { reason: 'packet_too_large', detail: 'the packet is too large', size: remaining }
  }
  const length = headerBytes + remaining
  return length <= available ? length : -length
}

/** The same for a client of which the whole frame has one limit, `frameBytesMax`. */
export function measureAnyFrame(
  bytes: Buffer,
  offset: number,
  frameBytesMax: number,
): number | FrameFault {
  const available = bytes.length - offset
  const header = decodeLength(bytes, offset)
  if (header === lengthIncomplete) return -(available + 1)
  if (header === lengthMalformed) {
    return { reason: 'packet_invalid', detail: 'the remaining length has more than four bytes' }
  }
  const length = (header & 7) + (header >>> 3)
  if (length > frameBytesMax) {
    const detail = `a packet of ${length} bytes; the maximum is ${frameBytesMax}`
    return { reason: 'packet_too_large', detail, size: length }
  }
  return length <= available ? length : -length
}

/** The fault of a PUBLISH that is too large for any topic. Waits for the topic, which is logged. */
function describeOversize(
  bytes: Buffer,
  offset: number,
  header: number,
  limits: FrameLimits,
): number | FrameFault {
  const headerBytes = header & 7
  const remaining = header >>> 3
  const topicStart = offset + headerBytes + 2
  if (bytes.length < topicStart) return -(headerBytes + 2)
  const topicBytes = bytes.readUInt16BE(topicStart - 2)
  if (topicBytes > wireTopicBytesMax(limits)) {
    return { reason: 'topic_invalid', detail: 'the topic is too long', size: remaining }
  }
  const topicEnd = topicStart + topicBytes
  if (bytes.length < topicEnd) return -(topicEnd - offset)
  const packetIdBytes = qosOf(bytes, offset) === 0 ? 0 : 2
  return payloadTooLarge(
    bytes.toString('utf8', topicStart, topicEnd),
    remaining - 2 - topicBytes - packetIdBytes,
  )
}

const payloadTooLarge = (topic: string, size: number): FrameFault => ({
  reason: 'payload_too_large',
  detail: 'the payload is over the limit',
  topic,
  size,
})

/**
 * Finds faults that Aedes would let through, or would answer with an error before our hook runs.
 *
 * @param length as `measureFrame` gave it: the frame is whole
 */
export function findFrameFault(
  bytes: Buffer,
  offset: number,
  length: number,
  limits: FrameLimits,
): FrameFault | undefined {
  const type = typeOf(bytes, offset)
  const body = bodyStart(bytes, offset)
  const end = offset + length
  if (type === packetType.publish) return findPublishFault(bytes, offset, body, end, limits)
  if (type === packetType.connect) return packetInvalid('a second CONNECT') // [MQTT-3.1.0-2]
  if (type === packetType.pingreq || type === packetType.disconnect) return undefined
  if (!clientPacketsWithId.has(type)) return packetInvalid(`packet type ${type} is not a client's`)
  const fault = findPacketIdFault(bytes, body, end)
  if (fault !== undefined || type !== packetType.subscribe) return fault
  return findSubscribeFault(bytes, body + 2, end, limits)
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE: each begins with a packet id. */
const clientPacketsWithId: ReadonlySet<number> = new Set([4, 5, 6, 7, 8, 10])

const packetInvalid = (detail: string): FrameFault => ({ reason: 'packet_invalid', detail })

function findPublishFault(
  bytes: Buffer,
  offset: number,
  body: number,
  end: number,
  limits: FrameLimits,
): FrameFault | undefined {
  const { payloadBytesMax } = limits
  const qos = qosOf(bytes, offset)
  if (qos === 3) return packetInvalid('QoS 3') // [MQTT-3.3.1-4]
  const topicStart = body + 2
  const topicEnd = topicStart <= end ? topicStart + bytes.readUInt16BE(body) : Infinity
  const payloadStart = qos === 0 ? topicEnd : topicEnd + 2
  if (payloadStart > end) return packetInvalid('a PUBLISH shorter than its own fields')
  const fault =
    findTopicFault(bytes, topicStart, topicEnd, limits) ??
    findRetainFault((byteAt(bytes, offset) & 1) === 1, byteAt(bytes, topicStart))
  if (fault) return { ...fault, topic: bytes.toString('utf8', topicStart, topicEnd).slice(0, 300) }
  if (end - payloadStart > payloadBytesMax) {
    return payloadTooLarge(bytes.toString('utf8', topicStart, topicEnd), end - payloadStart)
  }
  if (qos === 0) return undefined
  const idFault = findPacketIdFault(bytes, topicEnd, end)
  if (idFault !== undefined || qos <= limits.qosMax) return idFault
  return qosIgnored('PUBLISH', bytes.toString('utf8', topicStart, topicEnd).slice(0, 300))
}

/**
 * AWS IoT has no QoS 2, and answers neither PUBLISH nor SUBSCRIBE that asks for it [AWS IoT
 * Developer Guide, "MQTT differences"].
 */
const qosIgnored = (packetName: string, topic?: string): FrameFault => ({
  reason: 'qos_not_supported',
  detail:
    `a ${packetName} of QoS 2: AWS IoT Core has no QoS 2 and does not answer it; ` +
    'SLUICE_MQTT_PROFILE=open takes it',
  topic,
  isIgnored: true,
})

/** AWS IoT ends the connection, too. Aedes itself refuses a truncated filter. */
function findSubscribeFault(
  bytes: Buffer,
  start: number,
  end: number,
  { filtersPerSubscribeMax, qosMax }: FrameLimits,
): FrameFault | undefined {
  let filters = 0
  let isIgnored = false
  for (let offset = start; offset + 2 <= end;) {
    if (++filters > filtersPerSubscribeMax) {
      const detail = `a SUBSCRIBE of more than ${filtersPerSubscribeMax} filters`
      return { reason: 'too_many_filters', detail }
    }
    const qosAt = offset + 2 + bytes.readUInt16BE(offset)
    isIgnored ||= qosAt < end && byteAt(bytes, qosAt) === 2 && qosMax < 2
    offset = qosAt + 1
  }
  return isIgnored ? qosIgnored('SUBSCRIBE') : undefined
}

/** [MQTT-2.3.1-1]: a packet id is never 0. */
function findPacketIdFault(bytes: Buffer, start: number, end: number): FrameFault | undefined {
  if (start + 2 > end) return packetInvalid('the packet id is missing')
  return readPacketId(bytes, start) === 0 ? packetInvalid('packet id 0') : undefined
}

const readPacketId = (bytes: Buffer, start: number): number =>
  (byteAt(bytes, start) << 8) | byteAt(bytes, start + 1)
