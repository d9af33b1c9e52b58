import type { PublishPacket } from 'aedes'
import { bodyStart, qosOf } from '../gate/frames.ts'
import type { FrameFault } from '../gate/frames.ts'
import { carryProperties } from '../kept/carried-properties.ts'
import { findRetainFault, findTopicFault } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { findResponseTopicFault, limitProperties, qosNotSupported } from './connect.ts'
import { asOnAws } from './profile.ts'
import type { Profile } from './profile.ts'
import {
  createMessageProperties,
  endOfText,
  malformed,
  property,
  protocolError,
  readBlock,
} from './properties.ts'
import { encodeVariable } from './property-block.ts'
import { reasonCode } from './reason-codes.ts'

/**
 * A PUBLISH of MQTT 5 is, byte for byte, a PUBLISH of MQTT 3.1.1 with the property block in front
 * of its payload. So Aedes gets it as it is, and `receive` takes the block off again when Aedes
 * asks whether the message may be published. The properties wait where the payload waits, and are
 * counted with it.
 *
 * Two kinds of PUBLISH are rewritten: one with a topic alias gets its topic, and one that is
 * answered with a reason code becomes a message to a topic that no client can publish to.
 */
export interface PublishRules {
  readonly topicLimits: TopicLimits
  readonly payloadBytesMax: number
  readonly profile: Profile
}

/** Why a PUBLISH of QoS 1 or 2 is answered with a reason code, and not taken. */
export interface Refusal {
  readonly code: number
  /** The label of the counter of rejected messages. */
  readonly reason: string
  readonly detail: string
}

/** The topics of the aliases of one connection. */
export type Aliases = Map<number, string>

/** Of a PUBLISH that is refused: its payload is the refusal as JSON. */
const refusedTopic = '$'

interface ReadPublish {
  readonly topicStart: number
  readonly topicEnd: number
  /** Where the property block begins, and where the payload does. */
  readonly blockStart: number
  readonly payloadStart: number
  readonly alias: number | undefined
  /** The properties are over a limit of the profile. */
  readonly overLimit: string | undefined
}

function readPublish(
  bytes: Buffer,
  offset: number,
  end: number,
  { profile }: PublishRules,
): ReadPublish | FrameFault {
  const qos = qosOf(bytes, offset)
  const body = bodyStart(bytes, offset)
  if (qos === 3) return malformed('QoS 3') // [MQTT-3.3.1-4]
  if (qos === 0 && isDuplicate(bytes, offset)) return malformed('DUP at QoS 0') // [MQTT-3.3.1-2]
  const topicEnd = endOfText(bytes, body, end)
  if (topicEnd === -1) return malformed('the topic is cut off, or is not valid UTF-8')
  const blockStart = qos === 0 ? topicEnd : topicEnd + 2
  if (blockStart > end) return malformed('a PUBLISH shorter than its own fields')
  if (qos > 0 && bytes.readUInt16BE(topicEnd) === 0) return protocolError('packet id 0')
  if (qos > profile.maximumQos) return qosNotSupported('a PUBLISH of QoS 2')
  const publish = { topicStart: body + 2, topicEnd, blockStart }
  if (bytes[blockStart] === 0) {
    return { ...publish, payloadStart: blockStart + 1, alias: undefined, overLimit: undefined }
  }
  let alias: number | undefined
  const properties = createMessageProperties(bytes)
  const payloadStart = readBlock(bytes, blockStart, end, 'publish', (identifier, from, to) => {
    if (identifier === property.topicAlias) alias = bytes.readUInt16BE(from)
    else properties.visit(identifier, from, to)
  })
  if (typeof payloadStart !== 'number') return payloadStart
  const mqtt5 = properties.get()
  const fault = findResponseTopicFault(mqtt5)
  if (fault !== undefined) return fault
  const limited = limitProperties(mqtt5, profile)
  const overLimit = typeof limited === 'string' ? limited : undefined
  return { ...publish, payloadStart, alias, overLimit }
}

/** Whether a whole PUBLISH is sound, and passes as it is. */
export function isSoundPublish(
  bytes: Buffer,
  offset: number,
  length: number,
  rules: PublishRules,
): boolean {
  const end = offset + length
  return isBarePublish(bytes, offset, end, rules) || isPlainPublish(bytes, offset, end, rules)
}

/**
 * The same for one without properties, which most are. Runs for every message, so it makes no
 * object; what is wrong with another one is found by `rewritePublish`.
 */
function isBarePublish(bytes: Buffer, offset: number, end: number, rules: PublishRules): boolean {
  const qos = qosOf(bytes, offset)
  if (qos > rules.profile.maximumQos || (qos === 0 && isDuplicate(bytes, offset))) return false
  const topicStart = bodyStart(bytes, offset) + 2
  if (topicStart > end) return false
  const topicEnd = topicStart + bytes.readUInt16BE(topicStart - 2)
  const blockStart = qos === 0 ? topicEnd : topicEnd + 2
  if (blockStart >= end || bytes[blockStart] !== 0) return false
  if (qos > 0 && bytes.readUInt16BE(topicEnd) === 0) return false
  if (end - blockStart - 1 > rules.payloadBytesMax) return false
  return topicFault(bytes, topicStart, topicEnd, rules, isRetained(bytes, offset)) === undefined
}

function isPlainPublish(bytes: Buffer, offset: number, end: number, rules: PublishRules): boolean {
  const read = readPublish(bytes, offset, end, rules)
  if ('reason' in read || read.alias !== undefined || read.overLimit !== undefined) return false
  if (end - read.payloadStart > rules.payloadBytesMax) return false
  const { topicStart, topicEnd } = read
  return topicFault(bytes, topicStart, topicEnd, rules, isRetained(bytes, offset)) === undefined
}

/**
 * Makes of any other PUBLISH the frame for Aedes. An alias that it sets is remembered in `aliases`;
 * the same PUBLISH may be given again.
 */
export function rewritePublish(
  frame: Buffer,
  rules: PublishRules,
  aliases: Aliases,
): Buffer | FrameFault {
  const read = readPublish(frame, 0, frame.length, rules)
  if ('reason' in read) return read
  const topic = resolveTopic(frame, read, rules, aliases)
  if (typeof topic !== 'string') return topic
  const topicBytes = Buffer.from(topic)
  const payloadBytes = frame.length - read.payloadStart
  if (payloadBytes > rules.payloadBytesMax) {
    const detail = 'the payload is over the limit'
    return { reason: 'payload_too_large', detail, topic, size: payloadBytes }
  }
  if (/[+#]/.test(topic)) return wildcardFault // [MQTT-3.3.2-2]
  const refusal = findRefusal(topicBytes, read, rules, isRetained(frame, 0))
  if (refusal === undefined) {
    return publish311(frame, topicBytes, [
      frame.subarray(read.topicEnd, read.blockStart),
      frame.subarray(read.blockStart),
    ])
  }
  if (qosOf(frame, 0) === 0) {
    const { reason, code, detail } = refusal
    return { reason: reason as FrameFault['reason'], detail, reasonCode: code, topic }
  }
  return publish311(frame, Buffer.from(refusedTopic), [
    frame.subarray(read.topicEnd, read.blockStart),
    Buffer.from(JSON.stringify(refusal)),
  ])
}

const wildcardFault: FrameFault = Object.freeze({
  reason: 'topic_invalid',
  detail: 'a topic to publish to has no wildcards',
  reasonCode: reasonCode.topicNotValid,
})

function resolveTopic(
  frame: Buffer,
  { topicStart, topicEnd, alias }: ReadPublish,
  { profile }: PublishRules,
  aliases: Aliases,
): string | FrameFault {
  const topic = frame.toString('utf8', topicStart, topicEnd)
  if (alias === undefined) {
    return topic === '' ? protocolError('an empty topic without a Topic Alias') : topic
  }
  const { topicAliasMaximum: maximum, name } = profile
  if (alias > maximum) {
    const what = `Topic Alias ${alias}`
    return aliasFault(
      name === 'aws'
        ? asOnAws(what, `has aliases up to ${maximum} and answers 0x94`)
        : `${what}; the maximum is ${maximum}`,
    )
  }
  if (topic !== '') {
    aliases.set(alias, topic)
    return topic
  }
  return aliases.get(alias) ?? aliasFault(`Topic Alias ${alias} has no topic`)
}

const aliasFault = (detail: string): FrameFault => ({
  reason: 'topic_alias',
  detail,
  reasonCode: reasonCode.topicAliasNotValid,
})

const isDuplicate = (bytes: Buffer, offset: number): boolean => ((bytes[offset] ?? 0) & 8) !== 0

const isRetained = (bytes: Buffer, offset: number): boolean => ((bytes[offset] ?? 0) & 1) === 1

const topicFault = (
  bytes: Buffer,
  start: number,
  end: number,
  { topicLimits }: PublishRules,
  retain: boolean,
) => findTopicFault(bytes, start, end, topicLimits) ?? findRetainFault(retain, bytes[start] ?? 0)

function findRefusal(
  topic: Buffer,
  { overLimit }: ReadPublish,
  rules: PublishRules,
  retain: boolean,
): Refusal | undefined {
  const fault = topicFault(topic, 0, topic.length, rules, retain)
  if (fault !== undefined) return { ...fault, code: reasonCode.topicNotValid }
  if (overLimit === undefined) return undefined
  return { code: reasonCode.quotaExceeded, reason: 'properties_too_large', detail: overLimit }
}

/**
 * A PUBLISH of MQTT 3.1.1.
 *
 * @param frame its first byte is that of the fixed header
 * @param rest what follows the topic
 */
export function publish311(frame: Buffer, topic: Buffer, rest: readonly Buffer[]): Buffer {
  const topicLength = Buffer.from([topic.length >> 8, topic.length & 0xff])
  const body = Buffer.concat([topicLength, topic, ...rest])
  return Buffer.concat([frame.subarray(0, 1), encodeVariable(body.length), body])
}

export interface NarrowingClient {
  /** Says that a message is taken otherwise than the client asked for. */
  narrowed(reason: string, detail: string): void
}

/**
 * Takes the property block off the payload of a PUBLISH that `isPlainPublish` or `rewritePublish`
 * has passed, and puts the properties on the packet.
 *
 * @returns why the message is not taken
 */
export function receivePublish(
  packet: PublishPacket,
  profile: Profile,
  client: NarrowingClient,
  nowMs: number,
): Refusal | undefined {
  const payload = packet.payload as Buffer
  if (packet.topic === refusedTopic) return JSON.parse(payload.toString()) as Refusal
  if (payload[0] === 0) {
    packet.payload = payload.subarray(1)
    return undefined
  }
  const properties = createMessageProperties(payload)
  const end = readBlock(payload, 0, payload.length, 'publish', (...given) =>
    properties.visit(...given),
  )
  packet.payload = typeof end === 'number' ? payload.subarray(end) : payload
  const given = properties.get()
  const limited = limitProperties(given, profile)
  if (typeof limited !== 'object') return undefined
  carryProperties(packet, limited, nowMs)
  const { messageExpirySeconds: asked } = given ?? {}
  if (asked !== limited.messageExpirySeconds) {
    const does = `takes 1 to 604,800 s, so that ${limited.messageExpirySeconds} s are in force`
    const detail = asOnAws(`a Message Expiry Interval of ${asked} s`, does)
    client.narrowed('message_expiry_adjusted', detail)
  }
  return undefined
}
