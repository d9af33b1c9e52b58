import { createPropertyBlock, encodeVariable, writeVariable } from './property-block.ts'
import { property, variableBytes } from './properties.ts'
import { reasonCode } from './reason-codes.ts'

/** The packets that the broker writes to a client of MQTT 5, as bytes. */
function packet(firstByte: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([firstByte]), encodeVariable(length), ...parts])
}

const withBlockLength = (block: Buffer): Buffer =>
  Buffer.concat([encodeVariable(block.length), block])

const emptyBlock = Buffer.from([0])

function idBytes(packetId: number): Buffer {
  return Buffer.from([packetId >> 8, packetId & 0xff])
}

/** What a CONNACK tells, MQTT 5 section 3.2.2.3. */
interface ConnackProperties {
  readonly sessionExpirySeconds: number
  readonly receiveMaximum: number
  readonly maximumQos: 1 | 2
  readonly maximumPacketSize: number
  readonly topicAliasMaximum: number
  readonly hasSubscriptionIdentifiers: boolean
  readonly assignedClientId: string | undefined
  readonly serverKeepAlive: number | undefined
}

export function connack(isSessionPresent: boolean, properties: ConnackProperties): Buffer {
  const block = createPropertyBlock()
    .four(property.sessionExpiryInterval, properties.sessionExpirySeconds)
    .two(property.receiveMaximum, properties.receiveMaximum)
    // QoS 2 is what its absence means, and 2 is not among its values.
    .byte(property.maximumQos, properties.maximumQos === 1 ? 1 : undefined)
    .byte(property.retainAvailable, 1)
    .four(property.maximumPacketSize, properties.maximumPacketSize)
    .text(property.assignedClientIdentifier, properties.assignedClientId)
    .two(property.topicAliasMaximum, properties.topicAliasMaximum)
    .byte(property.wildcardSubscriptionAvailable, 1)
    .byte(property.subscriptionIdentifiersAvailable, properties.hasSubscriptionIdentifiers ? 1 : 0)
    .byte(property.sharedSubscriptionAvailable, 1)
    .two(property.serverKeepAlive, properties.serverKeepAlive)
    .end()
  const head = Buffer.from([isSessionPresent ? 1 : 0, reasonCode.success])
  return packet(0x20, head, withBlockLength(block))
}

/** A CONNACK that refuses. */
export const refusingConnack = (code: number, reasonText: string | undefined): Buffer =>
  packet(0x20, Buffer.from([0, code]), withBlockLength(reasonBlock(reasonText)))

export const disconnect = (code: number, reasonText: string | undefined): Buffer =>
  packet(0xe0, Buffer.from([code]), withBlockLength(reasonBlock(reasonText)))

const reasonBlock = (reasonText: string | undefined): Buffer =>
  createPropertyBlock().text(property.reasonString, reasonText).end()

type Acknowledgement = 'puback' | 'pubrec' | 'pubrel'
const firstBytes: Readonly<Record<Acknowledgement, number>> = Object.freeze({
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
})

export function acknowledgement(
  kind: Acknowledgement,
  packetId: number,
  code: number,
  reasonText?: string,
): Buffer {
  if (code === reasonCode.success) return packet(firstBytes[kind], idBytes(packetId))
  const head = [idBytes(packetId), Buffer.from([code])]
  if (reasonText === undefined) return packet(firstBytes[kind], ...head)
  return packet(firstBytes[kind], ...head, withBlockLength(reasonBlock(reasonText)))
}

export const suback = (packetId: number, codes: readonly number[]): Buffer =>
  packet(0x90, idBytes(packetId), emptyBlock, Buffer.from(codes))

export const unsuback = (packetId: number, codes: readonly number[]): Buffer =>
  packet(0xb0, idBytes(packetId), emptyBlock, Buffer.from(codes))

interface OutgoingPublish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly dup: boolean
  /** Undefined for QoS 0. */
  readonly packetId: number | undefined
  /** The properties that do not change, as bytes. */
  readonly properties: Buffer | undefined
  readonly expirySeconds: number | undefined
  readonly subscriptionIdentifiers: readonly number[]
}

const none = Buffer.alloc(0)

/** One buffer for the whole packet, so that one message is one write. */
export function publish(message: OutgoingPublish): Buffer {
  const { topic, payload, qos, packetId, properties = none } = message
  const changing = changingProperties(message)
  const topicBytes = Buffer.byteLength(topic)
  const blockBytes = properties.length + changing.length
  const length =
    2 + topicBytes + (qos > 0 ? 2 : 0) + variableBytes(blockBytes) + blockBytes + payload.length
  const bytes = Buffer.allocUnsafe(1 + variableBytes(length) + length)
  bytes[0] = 0x30 | (message.dup ? 8 : 0) | (qos << 1) | (message.retain ? 1 : 0)
  let at = writeVariable(bytes, 1, length)
  at = bytes.writeUInt16BE(topicBytes, at)
  at += bytes.write(topic, at)
  if (packetId !== undefined) at = bytes.writeUInt16BE(packetId, at)
  at = writeVariable(bytes, at, blockBytes)
  at += properties.copy(bytes, at)
  at += changing.copy(bytes, at)
  payload.copy(bytes, at)
  return bytes
}

function changingProperties({ expirySeconds, subscriptionIdentifiers }: OutgoingPublish): Buffer {
  if (expirySeconds === undefined && subscriptionIdentifiers.length === 0) return none
  const block = createPropertyBlock().four(property.messageExpiryInterval, expirySeconds)
  for (const identifier of subscriptionIdentifiers) {
    block.variable(property.subscriptionIdentifier, identifier)
  }
  return block.end()
}
