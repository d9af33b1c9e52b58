/**
 * Writes and reads the bytes of records, which are described in record-layout.ts.
 *
 * It is not a library's encoding of JavaScript objects: every record is written and read on the
 * message path, and the bytes on disk must not depend on a library.
 */
import { SluiceError } from '../../base/errors.ts'
import { crc32c } from '../../base/crc32c.ts'
import {
  propertiesBytes,
  readProperties,
  writeProperties,
} from '../../storage/stored-properties.ts'
import { readHashKey, writeHashKey } from './hash-key-bytes.ts'
import { readSequence, recordKeyBytes, writeKey, writeSequence } from './record-key.ts'
import {
  acceptedAtOffset,
  timestampOffset,
  dataLengthOffset,
  textLengthsOffset,
  depthOffset,
  checksumOffset,
  headerBytes,
  hashKeyBytes,
  layout,
  layoutSharing,
  layoutWithoutChecksum,
  referenceBytes,
  callBit,
  partBits,
  partLengthBytes,
  propertiesBit,
  section,
  textAt,
  textCount,
  textLength,
  readText,
  hasSection,
  hasChecksum,
  layoutOf,
  headerBytesOf,
  hasCall,
  hasProperties,
  callStartOf,
  payloadEndOf,
  checkLayout,
  dataStartOf,
  unknownLayout,
} from './record-layout.ts'
import type { SourceMessage } from './source-message.ts'
import type { Mqtt5Properties } from '../../message.ts'

/** Of the record that is being sealed: no record makes a buffer for it. */
const key = Buffer.alloc(recordKeyBytes)
const lengthMax = 0xffff

/** The parts of a record that its value holds, except the time of acceptance. */
export interface RecordToStore extends Omit<DeliveredPart, 'acceptedAtMs'> {
  readonly source: SourceMessage
}

/** The parts of a record that delivery needs. */
export interface DeliveredPart {
  readonly ruleName: string
  readonly actionIndex: number
  readonly acceptedAtMs: number
  readonly partitionKey: string
  readonly explicitHashKey?: string | undefined
  readonly data: Buffer
  /** The call that delivers the record, for its sender. Absent: the record goes into a stream. */
  readonly call?: string | undefined
}

/** Where a record finds its message, and its data. */
export interface MessageReference {
  /** The sequence of the message. */
  readonly id: number
  /** Of the value of the message. */
  readonly bytes: number
  /** Where the data begins in the value of the message; 0: the record has data of its own. */
  readonly dataStart: number
}

/**
 * Encodes a record into a buffer of its own: the buffers of the record may be reused afterwards.
 *
 * @param reference where the record finds what it shares; absent: it shares nothing
 */
export function encodeRecord(
  record: RecordToStore,
  acceptedAtMs: number,
  reference?: MessageReference,
): Buffer {
  const { explicitHashKey, source, call } = record
  const { payload } = source
  const texts = reference === undefined ? textsOf(record) : [record.ruleName, record.partitionKey]
  // All texts are one string and one write: a call for each costs more than the text itself.
  const text = texts.join('')
  const textBytes = Buffer.byteLength(text, 'utf8')
  const isAscii = textBytes === text.length
  const sections = sectionsOf(record, reference) | (isAscii ? section.ascii : 0)
  const textEnd = headerBytes + textBytes
  const referenceStart = textEnd + (explicitHashKey === undefined ? 0 : hashKeyBytes)
  const dataStart = referenceStart + (reference === undefined ? 0 : referenceBytes)
  const data = reference !== undefined && reference.dataStart > 0 ? noData : record.data
  const dataEnd = dataStart + data.length
  const payloadEnd = dataEnd + (sections & section.payload ? payload.length : 0)
  const mqtt5 = reference === undefined ? source.mqtt5 : undefined
  const callStart =
    mqtt5 === undefined ? payloadEnd : payloadEnd + propertiesBytes(mqtt5) + partLengthBytes
  const callBytes = call === undefined ? 0 : Buffer.byteLength(call) + partLengthBytes
  const value = Buffer.allocUnsafe(callStart + callBytes)
  value[0] = (reference === undefined ? layout : layoutSharing) | (callBytes > 0 ? callBit : 0)
  value[1] = sections
  value.writeInt16BE(record.actionIndex, 2)
  value.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  value.writeUIntBE(source.timestampMs, timestampOffset, 6)
  value.writeUInt32BE(record.data.length, dataLengthOffset)
  for (let index = 0; index < textCount; index++) {
    const each = texts[index] ?? ''
    const bytes = isAscii ? each.length : Buffer.byteLength(each, 'utf8')
    if (bytes > lengthMax) throw tooLong(bytes)
    value.writeUInt16BE(bytes, textLengthsOffset + 2 * index)
  }
  value[depthOffset] = source.republishDepth ?? 0
  value.writeUInt32BE(0, checksumOffset)
  value.write(text, headerBytes, isAscii ? 'latin1' : 'utf8')
  if (explicitHashKey !== undefined) writeHashKey(value, explicitHashKey, textEnd)
  if (reference !== undefined) writeReference(value, reference, referenceStart)
  data.copy(value, dataStart)
  if (sections & section.payload) payload.copy(value, dataEnd)
  if (mqtt5 !== undefined) {
    value[0] |= propertiesBit
    writeLength(value, payloadEnd, writeProperties(mqtt5, value, payloadEnd))
  }
  if (call !== undefined) writeLength(value, callStart, callStart + value.write(call, callStart))
  return value
}

const noData = Buffer.alloc(0)

/** Of a part that stands at the end, behind it. */
function writeLength(value: Buffer, start: number, end: number): void {
  value.writeUInt32BE(end - start, end)
}

function writeReference(value: Buffer, reference: MessageReference, start: number): void {
  writeSequence(reference.id, value, start)
  value.writeUInt32BE(reference.bytes, start + 8)
  value.writeUInt32BE(reference.dataStart, start + 12)
}

/**
 * Where a record finds its message; undefined for a record that has all in itself.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of a known layout
 */
export function referenceOf(value: Buffer): MessageReference | undefined {
  if (layoutOf(value) !== layoutSharing) return undefined
  const start = checkLayout(value) - referenceBytes
  return {
    id: readSequence(value, start),
    bytes: value.readUInt32BE(start + 8),
    dataStart: value.readUInt32BE(start + 12),
  }
}

/** Whether a message of so many bytes is the one that a record refers to, and has its data. */
export function isMessageOf(value: Buffer, messageBytes: number): boolean {
  const reference = referenceOf(value)
  if (reference === undefined || reference.bytes !== messageBytes) return false
  const { dataStart, bytes } = reference
  return dataStart === 0 || dataStart + value.readUInt32BE(dataLengthOffset) <= bytes
}

/** A copy of the record with a new time of acceptance, in the layout that is written. */
export function acceptedAgain(value: Buffer, acceptedAtMs: number): Buffer {
  const rest = value.subarray(headerBytesOf(value))
  const copy = Buffer.concat([value.subarray(0, checksumOffset), Buffer.alloc(4), rest])
  copy[0] = layout | ((value[0] ?? 0) & partBits)
  copy.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  return copy
}

/** A copy of what `encodeRecord` made, with another time of acceptance. */
export function acceptedAt(value: Buffer, acceptedAtMs: number): Buffer {
  const copy = Buffer.from(value)
  copy.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  return copy
}

/** Writes the checksum into a record that is to be stored under this key. */
export function sealRecord(value: Buffer, destinationId: number, sequence: number): void {
  if (!hasChecksum(value)) return
  writeKey([destinationId, sequence], key, 0)
  value.writeUInt32BE(checksumOf(key, value), checksumOffset)
}

/**
 * Whether a record is as it was written, under the key that it had.
 *
 * @param storedKey the 12 bytes of its key
 */
export function isWholeRecord(storedKey: Buffer, value: Buffer): boolean {
  if (value[0] === layoutWithoutChecksum) {
    return dataStartOf(value) !== undefined && !wasSharing(storedKey, value)
  }
  if (!hasChecksum(value) || value.length < headerBytes) return false
  return value.readUInt32BE(checksumOffset) === checksumOf(storedKey, value)
}

/** One wrong bit makes layout 1, which has no checksum, of layout 3: the checksum still tells. */
function wasSharing(storedKey: Buffer, value: Buffer): boolean {
  if (value.length < headerBytes) return false
  const restored = Buffer.from(value)
  restored[0] = layoutSharing
  return value.readUInt32BE(checksumOffset) === checksumOf(storedKey, restored)
}

function checksumOf(storedKey: Buffer, value: Buffer): number {
  const before = crc32c(value, 0, checksumOffset, crc32c(storedKey))
  return crc32c(value, headerBytes, value.length, before)
}

export function acceptedAtMsOf(value: Buffer): number {
  checkLayout(value)
  return value.readUIntBE(acceptedAtOffset, 6)
}

/** When the message of a record arrived, by a header that all layouts have. */
export const timestampMsOf = (value: Buffer): number => value.readUIntBE(timestampOffset, 6)

/**
 * Reads what delivery needs. `data` is a view of the value, or of the message.
 *
 * @param message the value of the message, for a record that shares it
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeRecord(value: Buffer, message?: Buffer): DeliveredPart {
  return { ...decodeFacts(value), data: dataOf(value, message), call: callOf(value) }
}

/**
 * The same without the data and the call.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeFacts(value: Buffer): Omit<DeliveredPart, 'data' | 'call'> {
  const dataStart = checkLayout(value)
  const facts = {
    ruleName: readText(value, textAt.ruleName),
    actionIndex: value.readInt16BE(2),
    acceptedAtMs: value.readUIntBE(acceptedAtOffset, 6),
    partitionKey: readText(value, textAt.partitionKey),
  }
  if (!hasSection(value, section.explicitHashKey)) return facts
  const hashKeyEnd = dataStart - (layoutOf(value) === layoutSharing ? referenceBytes : 0)
  return { ...facts, explicitHashKey: readHashKey(value, hashKeyEnd - hashKeyBytes) }
}

/**
 * The action of a record.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function actionOf(value: Buffer): Pick<DeliveredPart, 'ruleName' | 'actionIndex'> {
  checkLayout(value)
  return { ruleName: readText(value, textAt.ruleName), actionIndex: value.readInt16BE(2) }
}

/**
 * The data, as a view of the value, or of the message.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function dataOf(value: Buffer, message?: Buffer): Buffer {
  const dataStart = checkLayout(value)
  const bytes = value.readUInt32BE(dataLengthOffset)
  const reference = referenceOf(value)
  if (reference === undefined || reference.dataStart === 0) {
    return value.subarray(dataStart, dataStart + bytes)
  }
  return messageFor(message).subarray(reference.dataStart, reference.dataStart + bytes)
}

function messageFor(message: Buffer | undefined): Buffer {
  if (message !== undefined) return message
  throw new SluiceError('DataFolderUnusable', 'The outbox holds a record that lacks its message')
}

/**
 * The call that delivers the record; undefined for a record that goes into a stream.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function callOf(value: Buffer): string | undefined {
  checkLayout(value)
  if (!hasCall(value)) return undefined
  return value.toString('utf8', callStartOf(value), value.length - partLengthBytes)
}

/** Bytes of data, of the partition key and of the call: what its service counts of a record. */
export function payloadBytesOf(value: Buffer): number {
  checkLayout(value)
  const bytes = textLength(value, textAt.partitionKey) + value.readUInt32BE(dataLengthOffset)
  return bytes + (hasCall(value) ? value.readUInt32BE(value.length - partLengthBytes) : 0)
}

/**
 * Reads the message that a record comes from. `payload` is a view of the value, or of the message.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeSource(value: Buffer, message?: Buffer): SourceMessage {
  if (layoutOf(value) === layoutSharing) return decodeSource(messageFor(message))
  const dataStart = checkLayout(value)
  const dataEnd = dataStart + value.readUInt32BE(dataLengthOffset)
  const has = (bit: number) => hasSection(value, bit)
  const textIf = (bit: number, index: number) => (has(bit) ? readText(value, index) : undefined)
  const messageId = readText(value, textAt.messageId)
  return {
    messageId,
    topic: readText(value, textAt.topic),
    timestampMs: timestampMsOf(value),
    payload: has(section.payload)
      ? value.subarray(dataEnd, payloadEndOf(value))
      : value.subarray(dataStart, dataEnd),
    clientId: textIf(section.clientId, textAt.clientId),
    traceId: has(section.traceIdIsMessageId) ? messageId : textIf(section.traceId, textAt.traceId),
    principal: textIf(section.principal, textAt.principal),
    republishDepth: has(section.republishDepth) ? (value[depthOffset] ?? 0) : undefined,
    mqtt5: hasProperties(value) ? propertiesOf(value) : undefined,
  }
}

/**
 * The id of the message that a record comes from.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function messageIdOf(value: Buffer, message?: Buffer): string {
  if (layoutOf(value) === layoutSharing) return messageIdOf(messageFor(message))
  checkLayout(value)
  return readText(value, textAt.messageId)
}

function propertiesOf(value: Buffer): Mqtt5Properties {
  const end = callStartOf(value) - partLengthBytes
  const mqtt5 = readProperties(value.subarray(payloadEndOf(value), end))
  if (mqtt5 === undefined) throw unknownLayout(value)
  return mqtt5
}

function sectionsOf(
  { explicitHashKey, data, source }: RecordToStore,
  reference: MessageReference | undefined,
): number {
  if (reference !== undefined) return explicitHashKey === undefined ? 0 : section.explicitHashKey
  const { messageId, clientId, traceId, principal, republishDepth, payload } = source
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

/** In the order of `textAt`. */
function textsOf({ ruleName, partitionKey, source }: RecordToStore): readonly string[] {
  const { messageId, topic, clientId = '', traceId, principal = '' } = source
  const ownTraceId = traceId === undefined || traceId === messageId ? '' : traceId
  return [ruleName, partitionKey, messageId, topic, clientId, ownTraceId, principal]
}

function tooLong(bytes: number): SluiceError {
  return new SluiceError('OutboxWriteFailed', `A name of ${bytes} bytes does not fit a record`)
}
