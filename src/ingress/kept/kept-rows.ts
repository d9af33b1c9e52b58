/**
 * The rows of what is kept for MQTT clients, each behind a checksum over its key and its value
 * (sealed-row.ts):
 *
 *     messages, retained   a message, see `encodeMessage`
 *     queue                u8 state, u16 packet id, u64 session, u64 message
 *     sessions             JSON of a `SessionRow`
 *
 * All numbers are big-endian. Times are epoch milliseconds, because rows outlive the process.
 */
import type { Subscription } from 'aedes'
import { SluiceError } from '../../base/errors.ts'
import type { Mqtt5Properties } from '../../message.ts'
import { openRow, sealRow } from '../../storage/sealed-row.ts'

export type KeptTable = 'messages' | 'queue' | 'retained' | 'sessions'

/** A message as it is stored. */
export interface MessageRow {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  /** Whether it was published with RETAIN. */
  readonly retain: boolean
  readonly publishedMs: number
  readonly mqtt5: Mqtt5Properties | undefined
  readonly expiresAtMs: number | undefined
}

/** A message in the queue of a session. */
export interface QueueRow {
  /** The row of the session. */
  readonly session: number
  /** The row of the message. */
  readonly message: number
  /** 0: it was not sent. */
  readonly packetId: number
  /** PUBREC came, so that PUBREL is sent from now on. */
  readonly isReleased: boolean
}

export interface SessionRow {
  readonly clientId: string
  /** How long the session waits for its client. */
  readonly expiryMs: number
  /** Absent while the client is connected. */
  readonly goneAtMs?: number | undefined
  readonly subscriptions: readonly Subscription[]
}

const keyBytes = 8

export function rowKey(id: number): Buffer {
  const key = Buffer.allocUnsafe(keyBytes)
  key.writeUInt32BE(Math.floor(id / 2 ** 32), 0)
  key.writeUInt32BE(id >>> 0, 4)
  return key
}

/** @returns undefined for a key that no row has */
export function idOfKey(key: Buffer): number | undefined {
  if (key.length !== keyBytes) return undefined
  const id = key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4)
  return Number.isSafeInteger(id) ? id : undefined
}

const qosBits = 0b11
const retainBit = 0b100
const propertiesBit = 0b1000
const expiryBit = 0b10000
/** Flags, the time of the publish and the length of the topic. */
const messageHeadBytes = 1 + 8 + 2

/**
 * A message as bytes:
 *
 *     u8   flags: the QoS, RETAIN, and whether the parts in brackets are there
 *     f64  when it was published
 *    [f64  when it expires]
 *     u16  length of the topic, and the topic in UTF-8
 *    [u32  length of the properties, and their JSON]
 *          the payload
 */
export function encodeMessage(id: number, message: MessageRow): Buffer {
  const { topic, payload, qos, retain, publishedMs, mqtt5, expiresAtMs } = message
  const properties = mqtt5 === undefined ? undefined : propertiesText(mqtt5)
  const topicBytes = Buffer.byteLength(topic)
  const propertyBytes = properties === undefined ? 0 : Buffer.byteLength(properties)
  const expiryBytes = expiresAtMs === undefined ? 0 : 8
  const lengthBytes = properties === undefined ? 0 : 4
  const bytes = Buffer.allocUnsafe(
    messageHeadBytes + expiryBytes + topicBytes + lengthBytes + propertyBytes + payload.length,
  )
  const flags =
    qos |
    (retain ? retainBit : 0) |
    (properties === undefined ? 0 : propertiesBit) |
    (expiresAtMs === undefined ? 0 : expiryBit)
  let at = bytes.writeUInt8(flags, 0)
  at = bytes.writeDoubleBE(publishedMs, at)
  if (expiresAtMs !== undefined) at = bytes.writeDoubleBE(expiresAtMs, at)
  at = bytes.writeUInt16BE(topicBytes, at)
  at += bytes.write(topic, at)
  if (properties !== undefined) {
    at = bytes.writeUInt32BE(propertyBytes, at)
    at += bytes.write(properties, at)
  }
  payload.copy(bytes, at)
  return sealRow(rowKey(id), bytes)
}

/** @throws SluiceError DataFolderDamaged: the row is not as it was written */
export function decodeMessage(key: Buffer, stored: Buffer): MessageRow {
  const bytes = valueOf(key, stored)
  try {
    const flags = bytes.readUInt8(0)
    const publishedMs = bytes.readDoubleBE(1)
    let at = 9
    let expiresAtMs: number | undefined
    if (flags & expiryBit) {
      expiresAtMs = bytes.readDoubleBE(at)
      at += 8
    }
    const topicEnd = at + 2 + bytes.readUInt16BE(at)
    const topic = bytes.toString('utf8', at + 2, topicEnd)
    at = topicEnd
    let mqtt5: Mqtt5Properties | undefined
    if (flags & propertiesBit) {
      const end = at + 4 + bytes.readUInt32BE(at)
      mqtt5 = propertiesOf(bytes.toString('utf8', at + 4, end))
      at = end
    }
    const qos = (flags & qosBits) as 0 | 1 | 2
    const retain = (flags & retainBit) !== 0
    return { topic, payload: bytes.subarray(at), qos, retain, publishedMs, mqtt5, expiresAtMs }
  } catch (thrown) {
    throw damagedRow(thrown)
  }
}

/** JSON has no bytes, so the correlation data are base64. */
function propertiesText({ correlationData, ...others }: Mqtt5Properties): string {
  return JSON.stringify(
    correlationData === undefined
      ? others
      : { ...others, correlationData: correlationData.toString('base64') },
  )
}

type PropertiesJson = Omit<Mqtt5Properties, 'correlationData'> & {
  readonly correlationData?: string
}

function propertiesOf(text: string): Mqtt5Properties {
  const { correlationData, ...others } = JSON.parse(text) as PropertiesJson
  return correlationData === undefined
    ? others
    : { ...others, correlationData: Buffer.from(correlationData, 'base64') }
}

const queueRowBytes = 1 + 2 + 2 * keyBytes
const released = 1

export function encodeQueueRow(id: number, row: QueueRow): Buffer {
  const bytes = Buffer.allocUnsafe(queueRowBytes)
  bytes.writeUInt8(row.isReleased ? released : 0, 0)
  // The numbers of groups are larger, and are given anew after a restart.
  bytes.writeUInt16BE(row.packetId & 0xffff, 1)
  rowKey(row.session).copy(bytes, 3)
  rowKey(row.message).copy(bytes, 3 + keyBytes)
  return sealRow(rowKey(id), bytes)
}

/** @throws SluiceError DataFolderDamaged */
export function decodeQueueRow(key: Buffer, stored: Buffer): QueueRow {
  const bytes = valueOf(key, stored)
  if (bytes.length !== queueRowBytes) throw damagedRow()
  const session = idOfKey(bytes.subarray(3, 3 + keyBytes))
  const message = idOfKey(bytes.subarray(3 + keyBytes))
  if (session === undefined || message === undefined) throw damagedRow()
  const isReleased = bytes[0] === released
  return { session, message, packetId: bytes.readUInt16BE(1), isReleased }
}

export function encodeSession(id: number, row: SessionRow): Buffer {
  return sealRow(rowKey(id), Buffer.from(JSON.stringify(row)))
}

/** @throws SluiceError DataFolderDamaged */
export function decodeSession(key: Buffer, stored: Buffer): SessionRow {
  const bytes = valueOf(key, stored)
  try {
    return JSON.parse(bytes.toString('utf8')) as SessionRow
  } catch (thrown) {
    throw damagedRow(thrown)
  }
}

function valueOf(key: Buffer, stored: Buffer): Buffer {
  const value = openRow(key, stored, () => false)
  if (value === undefined) throw damagedRow()
  return value
}

const damagedRow = (cause?: unknown): SluiceError =>
  new SluiceError('DataFolderDamaged', 'a row is not as it was written', { cause })
