import type { FrameFault } from '../gate/frames.ts'
import type { Mqtt5Properties } from '../../message.ts'
import { findTopicFault } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { asOnAws } from './profile.ts'
import type { Profile } from './profile.ts'
import {
  createMessageProperties,
  endOfBinary,
  endOfText,
  malformed,
  property,
  protocolError,
  readBlock,
  textAt,
} from './properties.ts'
import type { VisitProperty } from './properties.ts'
import { encodeVariable } from './property-block.ts'
import { reasonCode } from './reason-codes.ts'

/** What a CONNECT of MQTT 5 says, section 3.1. Times are in seconds. */
export interface Mqtt5Connect {
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  /** Empty: the broker assigns one. */
  readonly clientId: string
  readonly will: Mqtt5Will | undefined
  readonly username: string | undefined
  readonly password: Buffer | undefined
  readonly sessionExpirySeconds: number
  /** Messages of QoS 1 and 2 that the client takes at a time. */
  readonly receiveMaximum: number
  /** Bytes of a packet that the client takes. */
  readonly maximumPacketSize: number
  /** Whether reason strings may be sent with any packet. */
  readonly wantsProblemInformation: boolean
}

export interface Mqtt5Will {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly delaySeconds: number
  readonly mqtt5: Mqtt5Properties | undefined
}

interface ConnectRules {
  readonly topicLimits: TopicLimits
  readonly profile: Profile
}

/** The version of the protocol that this is about; a higher one is refused. */
const level5 = 5
const flag = Object.freeze({
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willRetain: 0x20,
  password: 0x40,
  username: 0x80,
})
/** Protocol name (6 bytes), level, flags, keep alive (2). */
const fixedBytes = 10

/** @param body the packet without its fixed header, of at least the level (7 bytes) */
export function readConnect(body: Buffer, rules: ConnectRules): Mqtt5Connect | FrameFault {
  if (body[6] !== level5) {
    const detail = `protocol level ${body[6]}: this broker speaks MQTT 5, 3.1.1 and 3.1`
    return { reason: 'protocol_version', detail, reasonCode: reasonCode.unsupportedVersion }
  }
  if (body.length < fixedBytes) return malformed('a CONNECT shorter than its own fields')
  const flags = body[7] ?? 0
  const flagsFault = findFlagsFault(flags, rules.profile)
  if (flagsFault !== undefined) return flagsFault
  const settings = readSettings(body)
  if ('reason' in settings) return settings
  const idEnd = endOfText(body, settings.end, body.length)
  if (idEnd === -1) return malformed('the client id is cut off, or is not valid UTF-8')
  const clientId = textAt(body, settings.end)
  if (!rules.profile.takesDollarIds && clientId.startsWith('$')) {
    const detail = asOnAws('a client id that begins with $', 'answers 0x85')
    return {
      reason: 'client_id_invalid',
      detail,
      reasonCode: reasonCode.clientIdNotValid,
    }
  }
  const will = (flags & flag.will) === 0 ? undefined : readWill(body, idEnd, flags, rules)
  if (will !== undefined && 'reason' in will) return will
  const login = readLogin(body, will?.end ?? idEnd, flags)
  if ('reason' in login) return login
  return {
    ...settings.values,
    ...login,
    cleanStart: (flags & flag.cleanStart) !== 0,
    keepAliveSeconds: body.readUInt16BE(8),
    clientId,
    will: will?.will,
  }
}

function findFlagsFault(flags: number, { maximumQos }: Profile): FrameFault | undefined {
  if ((flags & flag.reserved) !== 0) return malformed('the reserved flag of CONNECT is set')
  const qos = willQosOf(flags)
  if (qos === 3) return malformed('a will of QoS 3')
  const isWithoutWill = (flags & flag.will) === 0
  if (isWithoutWill && (qos > 0 || (flags & flag.willRetain) !== 0)) {
    return malformed('a CONNECT without a will has flags of one')
  }
  return qos > maximumQos ? qosNotSupported('a will of QoS 2') : undefined
}

const willQosOf = (flags: number): number => (flags >> 3) & 3

/** What the profile `aws` answers to QoS 2. */
export const qosNotSupported = (what: string): FrameFault => ({
  reason: 'qos_not_supported',
  detail: asOnAws(what, 'has no QoS 2 and answers 0x9B'),
  reasonCode: reasonCode.qosNotSupported,
})

function readSettings(body: Buffer) {
  let sessionExpirySeconds = 0
  let receiveMaximum = 65_535
  let maximumPacketSize = Infinity
  let wantsProblemInformation = true
  let hasMethod = false
  let hasData = false
  const visit: VisitProperty = (identifier, from) => {
    if (identifier === property.sessionExpiryInterval)
      sessionExpirySeconds = body.readUInt32BE(from)
    else if (identifier === property.receiveMaximum) receiveMaximum = body.readUInt16BE(from)
    else if (identifier === property.maximumPacketSize) maximumPacketSize = body.readUInt32BE(from)
    else if (identifier === property.requestProblemInformation)
      wantsProblemInformation = body[from] === 1
    else if (identifier === property.authenticationMethod) hasMethod = true
    else if (identifier === property.authenticationData) hasData = true
  }
  const end = readBlock(body, fixedBytes, body.length, 'connect', visit)
  if (typeof end !== 'number') return end
  if (hasMethod) {
    return {
      reason: 'authentication_method',
      detail: 'enhanced authentication is not supported, and AWS IoT Core does not have it either',
      reasonCode: reasonCode.badAuthenticationMethod,
    } satisfies FrameFault
  }
  if (hasData) return protocolError('Authentication Data without an Authentication Method')
  const values = {
    sessionExpirySeconds,
    receiveMaximum,
    maximumPacketSize,
    wantsProblemInformation,
  }
  return { end, values }
}

function readWill(
  body: Buffer,
  start: number,
  flags: number,
  { topicLimits, profile }: ConnectRules,
): { readonly will: Mqtt5Will; readonly end: number } | FrameFault {
  const properties = createMessageProperties(body)
  let delaySeconds = 0
  const topicStart = readBlock(body, start, body.length, 'will', (identifier, from, to) => {
    if (identifier === property.willDelayInterval) delaySeconds = body.readUInt32BE(from)
    else properties.visit(identifier, from, to)
  })
  if (typeof topicStart !== 'number') return topicStart
  const topicEnd = endOfText(body, topicStart, body.length)
  if (topicEnd === -1) return malformed('the topic of the will is cut off, or not valid UTF-8')
  const fault = findTopicFault(body, topicStart + 2, topicEnd, topicLimits)
  if (fault !== undefined) {
    const detail = `will: ${fault.detail}`
    return { reason: 'will_invalid', detail, reasonCode: reasonCode.topicNotValid }
  }
  const end = endOfBinary(body, topicEnd, body.length)
  if (end === -1) return malformed('the payload of the will is cut off')
  const mqtt5 = properties.get()
  const limited = limitProperties(mqtt5, profile)
  if (typeof limited === 'string') {
    const detail = `will: ${limited}`
    return { reason: 'will_invalid', detail, reasonCode: reasonCode.quotaExceeded }
  }
  const responseFault = findResponseTopicFault(mqtt5)
  if (responseFault !== undefined) return responseFault
  const will: Mqtt5Will = {
    topic: textAt(body, topicStart),
    payload: Buffer.from(body.subarray(topicEnd + 2, end)),
    qos: willQosOf(flags) as 0 | 1 | 2,
    retain: (flags & flag.willRetain) !== 0,
    delaySeconds,
    mqtt5: limited,
  }
  return { will, end }
}

/** [MQTT-3.3.2-14] */
export function findResponseTopicFault(mqtt5: Mqtt5Properties | undefined): FrameFault | undefined {
  const { responseTopic } = mqtt5 ?? {}
  if (responseTopic === undefined) return undefined
  if (responseTopic === '') return protocolError('Response Topic is empty')
  return /[+#]/.test(responseTopic) ? protocolError('Response Topic has wildcards') : undefined
}

/**
 * Holds the properties of a message to the limits of the profile.
 *
 * @returns them, with the expiry that is in force; or which limit they are over
 */
export function limitProperties(
  mqtt5: Mqtt5Properties | undefined,
  { properties: limits }: Profile,
): Mqtt5Properties | undefined | string {
  if (mqtt5 === undefined || limits === undefined) return mqtt5
  const { contentType = '', correlationData, userProperties = [], messageExpirySeconds } = mqtt5
  if (Buffer.byteLength(contentType) > limits.contentTypeBytesMax) {
    return `AWS IoT Core takes ${limits.contentTypeBytesMax} bytes of Content Type`
  }
  if ((correlationData?.length ?? 0) > limits.correlationDataBytesMax) {
    return `AWS IoT Core takes ${limits.correlationDataBytesMax} bytes of Correlation Data`
  }
  let bytes = 0
  for (const pair of userProperties)
    bytes += Buffer.byteLength(pair[0]) + Buffer.byteLength(pair[1])
  if (bytes > limits.userPropertiesBytesMax) {
    return `AWS IoT Core takes ${limits.userPropertiesBytesMax} bytes of User Properties`
  }
  if (messageExpirySeconds === undefined) return mqtt5
  const { messageExpirySecondsMin: minimum, messageExpirySecondsMax: maximum } = limits
  const inForce = Math.min(Math.max(messageExpirySeconds, minimum), maximum)
  return { ...mqtt5, messageExpirySeconds: inForce }
}

function readLogin(body: Buffer, start: number, flags: number) {
  let at = start
  let username: string | undefined
  let password: Buffer | undefined
  if ((flags & flag.username) !== 0) {
    const end = endOfText(body, at, body.length)
    if (end === -1) return malformed('the user name is cut off, or is not valid UTF-8')
    username = textAt(body, at)
    at = end
  }
  if ((flags & flag.password) !== 0) {
    const end = endOfBinary(body, at, body.length)
    if (end === -1) return malformed('the password is cut off')
    password = body.subarray(at + 2, end)
    at = end
  }
  if (at !== body.length) return malformed('a CONNECT longer than its own fields')
  return { username, password }
}

/**
 * The CONNECT of MQTT 3.1.1 that stands for it: a clean session without a will, because sessions
 * and wills of MQTT 5 are kept by the broker itself.
 *
 * @param inForce the client id and the keep alive that hold for the connection
 */
export function connectOf311(
  { username, password }: Mqtt5Connect,
  inForce: { readonly clientId: string; readonly keepAliveSeconds: number },
): Buffer {
  // MQTT 3.1.1 has no password without a user name, [MQTT-3.1.2-22].
  const name = username ?? (password === undefined ? undefined : '')
  const flags =
    flag.cleanStart |
    (name === undefined ? 0 : flag.username) |
    (password === undefined ? 0 : flag.password)
  const { keepAliveSeconds: seconds } = inForce
  const head = [0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, seconds >> 8, seconds & 0xff]
  const parts = [Buffer.from(head), field(Buffer.from(inForce.clientId))]
  if (name !== undefined) parts.push(field(Buffer.from(name)))
  if (password !== undefined) parts.push(field(password))
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([0x10]), encodeVariable(body.length), body])
}

const field = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
