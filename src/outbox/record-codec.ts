/**
 * The bytes of a record in the outbox. All numbers are big-endian.
 *
 * Key, 12 bytes, so that the records of one destination stand together and in order:
 *
 *     0  u32  destination id
 *     4  u64  sequence (at most 2^53 - 1)
 *
 * Value:
 *
 *     0  u8   layout: 1
 *     1  u8   sections that are there, see `section`
 *     2  i16  action index; -1 for the rule's error action
 *     4  u48  accepted at, epoch milliseconds
 *    10  u16  length of the rule name
 *    12  u16  length of the partition key
 *    14  u32  length of the data
 *    18       rule name, UTF-8; partition key, UTF-8; [explicit hash key, 16 bytes]; data;
 *             origin: u48 timestamp in epoch milliseconds, then texts of u16 length and UTF-8:
 *             message id, topic, [client id], [trace id], [principal]; [u8 republish depth];
 *             [payload, to the end]
 *
 * What is in brackets is there when its section is. A trace id that is the message id, and a
 * payload that is the data, are not stored twice. The origin stands last: a record is delivered
 * without reading it.
 *
 * Not an encoding of objects: the value is written and read once a record on the message path, and
 * what stands on disk must not depend on how a library packs a JavaScript object.
 */
import { SluiceError } from '../errors.ts'
import { readHashKey, writeHashKey } from './hash-key-bytes.ts'
import type { Origin } from './origin.ts'

export const keyBytes = 12
const acceptedAtOffset = 4
const headerBytes = 18
const hashKeyBytes = 16
const timestampBytes = 6
const layout = 1
const lengthMax = 0xffff
const wordValues = 0x1_0000_0000

const section = Object.freeze({
  explicitHashKey: 1,
  clientId: 2,
  traceId: 4,
  /** The trace id is the message id. */
  traceIdIsMessageId: 8,
  principal: 16,
  republishDepth: 32,
  /** Absent: the payload is the data. */
  payload: 64,
})
const sectionsKnown = 127

/** What of a record goes into its value. */
export interface StoredRecord extends DeliveredPart {
  readonly origin: Origin
}

/** What of a record its delivery needs. */
export interface DeliveredPart {
  readonly ruleName: string
  readonly actionIndex: number
  readonly acceptedAtMs: number
  readonly partitionKey: string
  readonly explicitHashKey?: string
  readonly data: Buffer
}

/** Writes the key of a record into `target`, which holds at least `keyBytes` bytes. */
export function writeKey(target: Buffer, destinationId: number, sequence: number): Buffer {
  target.writeUInt32BE(destinationId, 0)
  target.writeUInt32BE(Math.floor(sequence / wordValues), 4)
  target.writeUInt32BE(sequence % wordValues, 8)
  return target
}

export function destinationIdOf(key: Buffer): number {
  return key.readUInt32BE(0)
}

export function sequenceOf(key: Buffer): number {
  return key.readUInt32BE(4) * wordValues + key.readUInt32BE(8)
}

/** The value of a record, in a buffer of its own: what it was made of may be reused afterwards. */
export function encodeRecord(record: StoredRecord): Buffer {
  const { ruleName, partitionKey, explicitHashKey, data, origin } = record
  const { payload } = origin
  const sections = sectionsOf(record)
  const texts = originTexts(origin, sections)
  const ruleNameBytes = textBytes(ruleName)
  const partitionKeyBytes = textBytes(partitionKey)
  const textsBytes = texts.reduce((sum, text) => sum + 2 + textBytes(text), 0)
  const value = Buffer.allocUnsafe(
    headerBytes +
      ruleNameBytes +
      partitionKeyBytes +
      (explicitHashKey === undefined ? 0 : hashKeyBytes) +
      data.length +
      timestampBytes +
      textsBytes +
      (sections & section.republishDepth ? 1 : 0) +
      (sections & section.payload ? payload.length : 0),
  )
  value[0] = layout
  value[1] = sections
  value.writeInt16BE(record.actionIndex, 2)
  value.writeUIntBE(record.acceptedAtMs, acceptedAtOffset, 6)
  value.writeUInt16BE(ruleNameBytes, 10)
  value.writeUInt16BE(partitionKeyBytes, 12)
  value.writeUInt32BE(data.length, 14)
  let at = headerBytes
  at += value.write(ruleName, at, 'utf8')
  at += value.write(partitionKey, at, 'utf8')
  if (explicitHashKey !== undefined) at = writeHashKey(value, explicitHashKey, at)
  at += data.copy(value, at)
  at = value.writeUIntBE(origin.timestampMs, at, timestampBytes)
  for (const text of texts) {
    const bytes = value.write(text, at + 2, 'utf8')
    value.writeUInt16BE(bytes, at)
    at += 2 + bytes
  }
  if (sections & section.republishDepth) at = value.writeUInt8(origin.republishDepth ?? 0, at)
  if (sections & section.payload) payload.copy(value, at)
  return value
}

/** The same record, accepted anew. */
export function acceptedAgain(value: Buffer, acceptedAtMs: number): Buffer {
  const copy = Buffer.from(value)
  copy.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  return copy
}

export function acceptedAtMsOf(value: Buffer): number {
  checkLayout(value)
  return value.readUIntBE(acceptedAtOffset, 6)
}

/**
 * What the delivery of a value needs. `data` is a view of it.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeRecord(value: Buffer): DeliveredPart {
  const dataStart = checkLayout(value)
  const ruleNameEnd = headerBytes + value.readUInt16BE(10)
  const partitionKeyEnd = ruleNameEnd + value.readUInt16BE(12)
  return {
    ruleName: value.toString('utf8', headerBytes, ruleNameEnd),
    actionIndex: value.readInt16BE(2),
    acceptedAtMs: value.readUIntBE(acceptedAtOffset, 6),
    partitionKey: value.toString('utf8', ruleNameEnd, partitionKeyEnd),
    ...(hasSection(value, section.explicitHashKey) && {
      explicitHashKey: readHashKey(value, partitionKeyEnd),
    }),
    data: value.subarray(dataStart, dataStart + value.readUInt32BE(14)),
  }
}

/** Bytes of data and partition key: what Kinesis counts. */
export function payloadBytesOf(value: Buffer): number {
  checkLayout(value)
  return value.readUInt16BE(12) + value.readUInt32BE(14)
}

/**
 * The message that a value comes from. `payload` is a view of the value.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeOrigin(value: Buffer): Origin {
  const dataStart = checkLayout(value)
  const dataEnd = dataStart + value.readUInt32BE(14)
  let at = dataEnd + timestampBytes
  const text = () => {
    const start = at + 2
    at = start + (start <= value.length ? value.readUInt16BE(at) : lengthMax)
    if (at > value.length) throw unknownLayout(value)
    return value.toString('utf8', start, at)
  }
  if (at > value.length) throw unknownLayout(value)
  const timestampMs = value.readUIntBE(dataEnd, timestampBytes)
  const messageId = text()
  const topic = text()
  const clientId = hasSection(value, section.clientId) ? { clientId: text() } : {}
  const traceId = hasSection(value, section.traceId) ? { traceId: text() } : {}
  const sameTraceId = hasSection(value, section.traceIdIsMessageId) ? { traceId: messageId } : {}
  const principal = hasSection(value, section.principal) ? { principal: text() } : {}
  const depth = hasSection(value, section.republishDepth)
    ? { republishDepth: value[at++] ?? 0 }
    : {}
  if (at > value.length) throw unknownLayout(value)
  const payload = hasSection(value, section.payload)
    ? value.subarray(at)
    : value.subarray(dataStart, dataEnd)
  return {
    messageId,
    topic,
    timestampMs,
    payload,
    ...clientId,
    ...traceId,
    ...sameTraceId,
    ...principal,
    ...depth,
  }
}

function sectionsOf({ explicitHashKey, data, origin }: StoredRecord): number {
  const { messageId, clientId, traceId, principal, republishDepth, payload } = origin
  const traceSection = traceId === messageId ? section.traceIdIsMessageId : section.traceId
  return (
    (explicitHashKey === undefined ? 0 : section.explicitHashKey) |
    (clientId === undefined ? 0 : section.clientId) |
    (traceId === undefined ? 0 : traceSection) |
    (principal === undefined ? 0 : section.principal) |
    (republishDepth === undefined ? 0 : section.republishDepth) |
    (payload === data || payload.equals(data) ? 0 : section.payload)
  )
}

function originTexts(origin: Origin, sections: number): readonly string[] {
  const { messageId, topic, clientId, traceId, principal } = origin
  const texts = [messageId, topic]
  if (clientId !== undefined) texts.push(clientId)
  if (traceId !== undefined && sections & section.traceId) texts.push(traceId)
  if (principal !== undefined) texts.push(principal)
  return texts
}

function hasSection(value: Buffer, bit: number): boolean {
  return ((value[1] ?? 0) & bit) !== 0
}

/** Where the data begins. */
function checkLayout(value: Buffer): number {
  const sections = value[1] ?? 0
  if (value[0] === layout && sections <= sectionsKnown && value.length >= headerBytes) {
    const dataStart =
      headerBytes +
      value.readUInt16BE(10) +
      value.readUInt16BE(12) +
      (sections & section.explicitHashKey ? hashKeyBytes : 0)
    if (dataStart + value.readUInt32BE(14) + timestampBytes <= value.length) return dataStart
  }
  throw unknownLayout(value)
}

function unknownLayout(value: Buffer): SluiceError {
  return new SluiceError(
    'DataFolderUnusable',
    `The outbox holds a record of an unknown layout (${value.subarray(0, 2).toString('hex')})`,
  )
}

function textBytes(text: string): number {
  const bytes = Buffer.byteLength(text, 'utf8')
  if (bytes > lengthMax) {
    throw new SluiceError('OutboxWriteFailed', `A name of ${bytes} bytes does not fit a record`)
  }
  return bytes
}
