import { isUtf8 } from 'node:buffer'
import { unreachable } from '../../base/unreachable.ts'
import type { FrameFault } from '../gate/frames.ts'
import type { Mqtt5Properties } from '../../message.ts'
import { reasonCode } from './reason-codes.ts'

/**
 * Reads the property block of a packet from its raw bytes, strictly: MQTT 5 section 2.2.2. A parser
 * that makes an object of the block loses the order of user properties, and what was given twice.
 *
 *   block    = length (variable byte integer), properties
 *   property = identifier (one byte for all that exist), value
 */
export const property = Object.freeze({
  payloadFormatIndicator: 1,
  messageExpiryInterval: 2,
  contentType: 3,
  responseTopic: 8,
  correlationData: 9,
  subscriptionIdentifier: 11,
  sessionExpiryInterval: 17,
  assignedClientIdentifier: 18,
  serverKeepAlive: 19,
  authenticationMethod: 21,
  authenticationData: 22,
  requestProblemInformation: 23,
  willDelayInterval: 24,
  requestResponseInformation: 25,
  serverReference: 28,
  reasonString: 31,
  receiveMaximum: 33,
  topicAliasMaximum: 34,
  topicAlias: 35,
  maximumQos: 36,
  retainAvailable: 37,
  userProperty: 38,
  maximumPacketSize: 39,
  wildcardSubscriptionAvailable: 40,
  subscriptionIdentifiersAvailable: 41,
  sharedSubscriptionAvailable: 42,
})

/** The packets of a client that have a property block; a will has one inside of CONNECT. */
type BlockOf =
  'connect' | 'will' | 'publish' | 'acknowledgement' | 'subscribe' | 'unsubscribe' | 'disconnect'

type ValueKind = 'byte' | 'two' | 'four' | 'varint' | 'text' | 'binary' | 'pair'

interface Definition {
  readonly kind: ValueKind
  readonly blocks: readonly BlockOf[]
  /** The values that a number may have. */
  readonly range?: readonly [minimum: number, maximum: number]
  /** The reason code for another value; absent: protocol error. */
  readonly outOfRange?: number
  readonly name: string
}

const message = ['publish', 'will'] as const
const flag = { kind: 'byte', range: [0, 1] } as const
const definitions: readonly (Definition | undefined)[] = byIdentifier([
  [property.payloadFormatIndicator, { ...flag, blocks: message, name: 'Payload Format Indicator' }],
  [property.messageExpiryInterval, { kind: 'four', blocks: message, name: 'Message Expiry' }],
  [property.contentType, { kind: 'text', blocks: message, name: 'Content Type' }],
  [property.responseTopic, { kind: 'text', blocks: message, name: 'Response Topic' }],
  [property.correlationData, { kind: 'binary', blocks: message, name: 'Correlation Data' }],
  [
    property.subscriptionIdentifier,
    {
      kind: 'varint',
      blocks: ['subscribe'],
      range: [1, 268_435_455],
      name: 'Subscription Identifier',
    },
  ],
  [
    property.sessionExpiryInterval,
    { kind: 'four', blocks: ['connect', 'disconnect'], name: 'Session Expiry Interval' },
  ],
  [
    property.authenticationMethod,
    { kind: 'text', blocks: ['connect'], name: 'Authentication Method' },
  ],
  [
    property.authenticationData,
    { kind: 'binary', blocks: ['connect'], name: 'Authentication Data' },
  ],
  [
    property.requestProblemInformation,
    { ...flag, blocks: ['connect'], name: 'Request Problem Information' },
  ],
  [property.willDelayInterval, { kind: 'four', blocks: ['will'], name: 'Will Delay Interval' }],
  [
    property.requestResponseInformation,
    { ...flag, blocks: ['connect'], name: 'Request Response Information' },
  ],
  [
    property.reasonString,
    { kind: 'text', blocks: ['acknowledgement', 'disconnect'], name: 'Reason String' },
  ],
  [
    property.receiveMaximum,
    { kind: 'two', blocks: ['connect'], range: [1, 65_535], name: 'Receive Maximum' },
  ],
  [property.topicAliasMaximum, { kind: 'two', blocks: ['connect'], name: 'Topic Alias Maximum' }],
  [
    property.topicAlias,
    {
      kind: 'two',
      blocks: ['publish'],
      range: [1, 65_535],
      outOfRange: reasonCode.topicAliasNotValid,
      name: 'Topic Alias',
    },
  ],
  [
    property.userProperty,
    {
      kind: 'pair',
      blocks: [
        'connect',
        'will',
        'publish',
        'acknowledgement',
        'subscribe',
        'unsubscribe',
        'disconnect',
      ],
      name: 'User Property',
    },
  ],
  [
    property.maximumPacketSize,
    { kind: 'four', blocks: ['connect'], range: [1, 0xffff_ffff], name: 'Maximum Packet Size' },
  ],
])

function byIdentifier(rows: readonly (readonly [number, Definition])[]) {
  const table: (Definition | undefined)[] = Array.from({ length: 43 }, () => undefined)
  for (const [identifier, definition] of rows) table[identifier] = Object.freeze(definition)
  return Object.freeze(table)
}

/**
 * @param from where the value begins: behind the length of a text or of binary data, and at the
 *   length of the key for a pair
 * @param to where it ends
 */
export type VisitProperty = (identifier: number, from: number, to: number) => void

/** The packet cannot be parsed. */
export const malformed = (detail: string): FrameFault => ({
  reason: 'packet_invalid',
  detail,
  reasonCode: reasonCode.malformed,
})

/** The packet can be parsed and is not allowed. */
export const protocolError = (detail: string, code: number = reasonCode.protocolError) =>
  ({ reason: 'protocol_error', detail, reasonCode: code }) satisfies FrameFault

/**
 * Reads one property block and calls `visit` for each property in the order of the bytes.
 *
 * @param start where its length stands
 * @param end where the packet ends
 * @returns where the block ends, or what is wrong with it
 */
export function readBlock(
  bytes: Buffer,
  start: number,
  end: number,
  block: BlockOf,
  visit?: VisitProperty,
): number | FrameFault {
  const length = readVariable(bytes, start, end)
  if (length === -1) return malformed('the length of the properties is not valid')
  let at = start + variableBytes(length)
  const blockEnd = at + length
  if (blockEnd > end) return malformed('the properties are longer than the packet')
  // Bit sets of the identifiers that came, below 32 and from 32 on.
  let seenLow = 0
  let seenHigh = 0
  while (at < blockEnd) {
    const identifier = bytes[at++] ?? 0
    const definition = definitions[identifier]
    if (definition === undefined || !definition.blocks.includes(block)) {
      return malformed(`property ${identifier} does not belong to this packet`)
    }
    const bit = 1 << (identifier & 31)
    const seen = identifier < 32 ? seenLow : seenHigh
    if ((seen & bit) !== 0 && definition.kind !== 'pair') {
      return protocolError(`${definition.name} is given twice`)
    }
    if (identifier < 32) seenLow |= bit
    else seenHigh |= bit
    const valueEnd = endOfValue(bytes, at, blockEnd, definition.kind)
    if (valueEnd === -1) return malformed(`${definition.name} is cut off, or is not valid UTF-8`)
    const fault = findRangeFault(bytes, at, valueEnd, definition)
    if (fault !== undefined) return fault
    const hasLength = definition.kind === 'text' || definition.kind === 'binary'
    visit?.(identifier, hasLength ? at + 2 : at, valueEnd)
    at = valueEnd
  }
  return blockEnd
}

function findRangeFault(
  bytes: Buffer,
  from: number,
  to: number,
  { range, outOfRange, kind, name }: Definition,
): FrameFault | undefined {
  if (range === undefined) return undefined
  const value =
    kind === 'varint' ? readVariable(bytes, from, to) : bytes.readUIntBE(from, to - from)
  if (value >= range[0] && value <= range[1]) return undefined
  return protocolError(`${name} is ${value}`, outOfRange)
}

/** @returns where the value ends; -1 when it is cut off, or is a text that is not one */
function endOfValue(bytes: Buffer, at: number, end: number, kind: ValueKind): number {
  switch (kind) {
    default:
      return unreachable(kind)
    case 'byte':
      return within(at + 1, end)
    case 'two':
      return within(at + 2, end)
    case 'four':
      return within(at + 4, end)
    case 'varint': {
      const value = readVariable(bytes, at, end)
      return value === -1 ? -1 : at + variableBytes(value)
    }
    case 'binary':
      return endOfBinary(bytes, at, end)
    case 'text':
      return endOfText(bytes, at, end)
    case 'pair': {
      const keyEnd = endOfText(bytes, at, end)
      return keyEnd === -1 ? -1 : endOfText(bytes, keyEnd, end)
    }
  }
}

const within = (at: number, end: number): number => (at <= end ? at : -1)

/** @param at where its length of two bytes stands. @returns -1 when it is cut off */
export function endOfBinary(bytes: Buffer, at: number, end: number): number {
  return at + 2 > end ? -1 : within(at + 2 + bytes.readUInt16BE(at), end)
}

/** The same for a text, which has to be UTF-8 without U+0000, [MQTT-1.5.4-1], [MQTT-1.5.4-2]. */
export function endOfText(bytes: Buffer, at: number, end: number): number {
  const textEnd = endOfBinary(bytes, at, end)
  if (textEnd === -1) return -1
  const text = bytes.subarray(at + 2, textEnd)
  return text.includes(0) || !isUtf8(text) ? -1 : textEnd
}

/** A text whose length of two bytes stands at `at`. */
export const textAt = (bytes: Buffer, at: number): string =>
  bytes.toString('utf8', at + 2, at + 2 + bytes.readUInt16BE(at))

/**
 * Reads a variable byte integer, section 1.5.5.
 *
 * @returns -1 when it is cut off, or has more bytes than it needs or than four
 */
export function readVariable(bytes: Buffer, at: number, end: number): number {
  let value = 0
  for (let index = 0; index < 4 && at + index < end; index++) {
    const byte = bytes[at + index] ?? 0
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return index > 0 && byte === 0 ? -1 : value
  }
  return -1
}

/** How many bytes a variable byte integer takes. */
export function variableBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  return value < 0x20_0000 ? 3 : 4
}

/** Collects the properties of a message, for `readBlock`. */
export function createMessageProperties(bytes: Buffer) {
  const mqtt5: { -readonly [Name in keyof Mqtt5Properties]: Mqtt5Properties[Name] } = {}
  const userProperties: [string, string][] = []
  return {
    visit(identifier: number, from: number, to: number): void {
      switch (identifier) {
        case property.payloadFormatIndicator:
          mqtt5.payloadFormatIndicator = bytes[from] === 1 ? 1 : 0
          break
        case property.messageExpiryInterval:
          mqtt5.messageExpirySeconds = bytes.readUInt32BE(from)
          break
        case property.contentType:
          mqtt5.contentType = bytes.toString('utf8', from, to)
          break
        case property.responseTopic:
          mqtt5.responseTopic = bytes.toString('utf8', from, to)
          break
        case property.correlationData:
          mqtt5.correlationData = Buffer.from(bytes.subarray(from, to))
          break
        case property.userProperty:
          userProperties.push([
            textAt(bytes, from),
            textAt(bytes, from + 2 + bytes.readUInt16BE(from)),
          ])
          break
        default:
      }
    },
    /** Undefined when there were none. */
    get(): Mqtt5Properties | undefined {
      if (userProperties.length > 0) mqtt5.userProperties = userProperties
      return Object.keys(mqtt5).length === 0 ? undefined : mqtt5
    },
  }
}
