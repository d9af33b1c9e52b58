/**
 * The properties of a stored message, as bytes in the form of MQTT 5, section 2.2.2, without their
 * length in front:
 *
 *     property = identifier (u8), value
 *     text     = length in bytes (u16), UTF-8
 *
 *      1  payload format indicator, u8      2  message expiry in seconds, u32
 *      3  content type, text                8  response topic, text
 *      9  correlation data, length (u16) and bytes
 *     38  user property, the texts of its key and its value; in the order of the message
 *
 * They were checked when the message came. Reading what a client sends is up to ingress/mqtt5.
 */
import type { Mqtt5Properties } from '../message.ts'

const identifiers = Object.freeze({
  payloadFormatIndicator: 1,
  messageExpirySeconds: 2,
  contentType: 3,
  responseTopic: 8,
  correlationData: 9,
  userProperty: 38,
})

const identifierBytes = 1
const lengthBytes = 2

/** How many bytes `writeProperties` writes. */
export function propertiesBytes(mqtt5: Mqtt5Properties): number {
  const { contentType, responseTopic, correlationData, userProperties = [] } = mqtt5
  let bytes = mqtt5.payloadFormatIndicator === undefined ? 0 : identifierBytes + 1
  if (mqtt5.messageExpirySeconds !== undefined) bytes += identifierBytes + 4
  if (contentType !== undefined) bytes += identifierBytes + textBytes(contentType)
  if (responseTopic !== undefined) bytes += identifierBytes + textBytes(responseTopic)
  if (correlationData !== undefined) bytes += identifierBytes + lengthBytes + correlationData.length
  for (const [key, value] of userProperties) {
    bytes += identifierBytes + textBytes(key) + textBytes(value)
  }
  return bytes
}

const textBytes = (text: string): number => lengthBytes + Buffer.byteLength(text)

/**
 * @param target has room for `propertiesBytes` from `start` on
 * @returns where they end
 * @throws RangeError for a text of more than 65,535 bytes, which MQTT does not have
 */
export function writeProperties(mqtt5: Mqtt5Properties, target: Buffer, start: number): number {
  const { payloadFormatIndicator, messageExpirySeconds, userProperties = [] } = mqtt5
  let at = start
  if (payloadFormatIndicator !== undefined) {
    at = target.writeUInt8(identifiers.payloadFormatIndicator, at)
    at = target.writeUInt8(payloadFormatIndicator, at)
  }
  if (messageExpirySeconds !== undefined) {
    at = target.writeUInt8(identifiers.messageExpirySeconds, at)
    at = target.writeUInt32BE(messageExpirySeconds, at)
  }
  for (const name of ['contentType', 'responseTopic'] as const) {
    const text = mqtt5[name]
    if (text === undefined) continue
    at = writeText(text, target, target.writeUInt8(identifiers[name], at))
  }
  const { correlationData } = mqtt5
  if (correlationData !== undefined) {
    at = target.writeUInt8(identifiers.correlationData, at)
    at = target.writeUInt16BE(correlationData.length, at)
    at += correlationData.copy(target, at)
  }
  for (const [key, value] of userProperties) {
    at = writeText(key, target, target.writeUInt8(identifiers.userProperty, at))
    at = writeText(value, target, at)
  }
  return at
}

function writeText(text: string, target: Buffer, start: number): number {
  const bytes = target.write(text, start + lengthBytes)
  target.writeUInt16BE(bytes, start)
  return start + lengthBytes + bytes
}

/**
 * @param bytes all that `writeProperties` has written. `correlationData` is a view of them
 * @returns undefined when it is not that
 */
export function readProperties(bytes: Buffer): Mqtt5Properties | undefined {
  const mqtt5: { -readonly [Name in keyof Mqtt5Properties]: Mqtt5Properties[Name] } = {}
  const userProperties: [string, string][] = []
  let at = 0
  /** The bytes of the next value; a view that is too short where they are cut off. */
  const take = (length: number): Buffer => {
    const value = bytes.subarray(at, at + length)
    at += length
    return value
  }
  const takeSized = (): Buffer => {
    const length = take(lengthBytes)
    return take(length.length < lengthBytes ? Infinity : length.readUInt16BE())
  }
  while (at < bytes.length) {
    const identifier: number = bytes[at++] ?? 0
    switch (identifier) {
      case identifiers.payloadFormatIndicator:
        mqtt5.payloadFormatIndicator = take(1)[0] === 1 ? 1 : 0
        break
      case identifiers.messageExpirySeconds: {
        const seconds = take(4)
        if (seconds.length === 4) mqtt5.messageExpirySeconds = seconds.readUInt32BE()
        break
      }
      case identifiers.contentType:
        mqtt5.contentType = takeSized().toString()
        break
      case identifiers.responseTopic:
        mqtt5.responseTopic = takeSized().toString()
        break
      case identifiers.correlationData:
        mqtt5.correlationData = takeSized()
        break
      case identifiers.userProperty:
        userProperties.push([takeSized().toString(), takeSized().toString()])
        break
      default:
        return undefined
    }
  }
  if (userProperties.length > 0) mqtt5.userProperties = userProperties
  return at === bytes.length ? mqtt5 : undefined
}

/** The properties as people read them: those that are bytes in base64. */
export function shownProperties({ correlationData, ...mqtt5 }: Mqtt5Properties) {
  if (correlationData === undefined) return mqtt5
  return { ...mqtt5, correlationDataBase64: correlationData.toString('base64') }
}
