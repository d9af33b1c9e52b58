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
 *     0  u8   layout: 2, with a bit for a call, see `callBit`
 *     1  u8   bits of the sections that are there, see `section`
 *     2  i16  action index; -1 for the rule's error action
 *     4  u48  accepted at, epoch milliseconds
 *    10  u48  timestamp of the message, epoch milliseconds
 *    16  u32  length of the data
 *    20  u16  lengths of seven texts: rule name, partition key, message id, topic, client id,
 *             trace id, principal
 *    34  u8   republish depth
 *    35  u32  checksum: CRC-32C of the key and of all other bytes of the value
 *    39       the texts, UTF-8, one after the other; [explicit hash key, 16 bytes]; data;
 *             [payload]; [call, UTF-8, and its length, u32]
 *
 * The parts in brackets are there when their section bit is set; an absent text has no bytes. A
 * trace id that equals the message id, and a payload that equals the data, are not stored twice.
 *
 * Layout 1, of earlier releases, has no checksum: its texts begin at 35. It is read, not written.
 *
 * It is not a library's encoding of JavaScript objects: every record is written and read on the
 * message path, and the bytes on disk must not depend on a library.
 */
import { SluiceError } from '../../base/errors.ts'
import { crc32c } from '../../base/crc32c.ts'
import { readHashKey, writeHashKey } from './hash-key-bytes.ts'
import type { SourceMessage } from './source-message.ts'

const acceptedAtOffset = 4
const timestampOffset = 10
const dataLengthOffset = 16
const textLengthsOffset = 20
const depthOffset = 34
const checksumOffset = 35
const headerBytes = 39
const hashKeyBytes = 16
export const recordKeyBytes = 12
const layout = 2
const layoutWithoutChecksum = 1
/** Of the record that is being sealed: no record makes a buffer for it. */
const key = Buffer.alloc(recordKeyBytes)
/** Set in the layout of a record that has a call. Releases before calls refuse such a record. */
const callBit = 0x40
const callLengthBytes = 4
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
  /** All texts are ASCII, which is faster to read. */
  ascii: 128,
})

/** The index of each text among the lengths. */
const textAt = Object.freeze({
  ruleName: 0,
  partitionKey: 1,
  messageId: 2,
  topic: 3,
  clientId: 4,
  traceId: 5,
  principal: 6,
})
const textCount = 7

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

/** The key of a record in its table. */
export type RecordKey = [destinationId: number, sequence: number]

/** Writes the key of a record at `start` of `target`, and returns where the key ends. */
export function writeKey(
  [destinationId, sequence]: Readonly<RecordKey>,
  target: Buffer,
  start: number,
): number {
  target.writeUInt32BE(destinationId, start)
  target.writeUInt32BE(Math.floor(sequence / wordValues), start + 4)
  return target.writeUInt32BE(sequence % wordValues, start + 8)
}

/** Reads the key that begins at `start`. */
export function readKey(source: Buffer, start: number): RecordKey {
  const high = source.readUInt32BE(start + 4)
  return [source.readUInt32BE(start), high * wordValues + source.readUInt32BE(start + 8)]
}

/**
 * Encodes a record into a buffer of its own: the buffers of the record may be reused afterwards.
 */
export function encodeRecord(record: RecordToStore, acceptedAtMs: number): Buffer {
  const { explicitHashKey, data, source, call } = record
  const { payload } = source
  const texts = textsOf(record)
  // All texts are one string and one write: a call for each costs more than the text itself.
  const text = texts.join('')
  const textBytes = Buffer.byteLength(text, 'utf8')
  const isAscii = textBytes === text.length
  const sections = sectionsOf(record) | (isAscii ? section.ascii : 0)
  const dataStart = headerBytes + textBytes + (explicitHashKey === undefined ? 0 : hashKeyBytes)
  const dataEnd = dataStart + data.length
  const payloadEnd = dataEnd + (sections & section.payload ? payload.length : 0)
  const callBytes = call === undefined ? 0 : Buffer.byteLength(call) + callLengthBytes
  const value = Buffer.allocUnsafe(payloadEnd + callBytes)
  value[0] = call === undefined ? layout : layout | callBit
  value[1] = sections
  value.writeInt16BE(record.actionIndex, 2)
  value.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  value.writeUIntBE(source.timestampMs, timestampOffset, 6)
  value.writeUInt32BE(data.length, dataLengthOffset)
  for (let index = 0; index < textCount; index++) {
    const each = texts[index] ?? ''
    const bytes = isAscii ? each.length : Buffer.byteLength(each, 'utf8')
    if (bytes > lengthMax) throw tooLong(bytes)
    value.writeUInt16BE(bytes, textLengthsOffset + 2 * index)
  }
  value[depthOffset] = source.republishDepth ?? 0
  value.writeUInt32BE(0, checksumOffset)
  value.write(text, headerBytes, isAscii ? 'latin1' : 'utf8')
  if (explicitHashKey !== undefined) writeHashKey(value, explicitHashKey, headerBytes + textBytes)
  data.copy(value, dataStart)
  if (sections & section.payload) payload.copy(value, dataEnd)
  if (call !== undefined) {
    const callEnd = payloadEnd + value.write(call, payloadEnd)
    value.writeUInt32BE(callEnd - payloadEnd, callEnd)
  }
  return value
}

/** A copy of the record with a new time of acceptance, in the layout that is written. */
export function acceptedAgain(value: Buffer, acceptedAtMs: number): Buffer {
  const rest = value.subarray(headerBytesOf(value))
  const copy = Buffer.concat([value.subarray(0, checksumOffset), Buffer.alloc(4), rest])
  copy[0] = layout | ((value[0] ?? 0) & callBit)
  copy.writeUIntBE(acceptedAtMs, acceptedAtOffset, 6)
  return copy
}

/** Whether the layout of a record has a checksum. */
export const hasChecksum = (value: Buffer): boolean => layoutOf(value) === layout

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
  if (value[0] === layoutWithoutChecksum) return dataStartOf(value) !== undefined
  if (!hasChecksum(value) || value.length < headerBytes) return false
  return value.readUInt32BE(checksumOffset) === checksumOf(storedKey, value)
}

function checksumOf(storedKey: Buffer, value: Buffer): number {
  const before = crc32c(value, 0, checksumOffset, crc32c(storedKey))
  return crc32c(value, headerBytes, value.length, before)
}

export function acceptedAtMsOf(value: Buffer): number {
  checkLayout(value)
  return value.readUIntBE(acceptedAtOffset, 6)
}

/**
 * Reads what delivery needs. `data` is a view of the value.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeRecord(value: Buffer): DeliveredPart {
  return { ...decodeFacts(value), data: dataOf(value), call: callOf(value) }
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
  return { ...facts, explicitHashKey: readHashKey(value, dataStart - hashKeyBytes) }
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
 * The data, as a view of the value.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function dataOf(value: Buffer): Buffer {
  const dataStart = checkLayout(value)
  return value.subarray(dataStart, dataStart + value.readUInt32BE(dataLengthOffset))
}

/**
 * The call that delivers the record; undefined for a record that goes into a stream.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function callOf(value: Buffer): string | undefined {
  checkLayout(value)
  if (!hasCall(value)) return undefined
  return value.toString('utf8', payloadEndOf(value), value.length - callLengthBytes)
}

/** Bytes of data, of the partition key and of the call: what its service counts of a record. */
export function payloadBytesOf(value: Buffer): number {
  checkLayout(value)
  const bytes = textLength(value, textAt.partitionKey) + value.readUInt32BE(dataLengthOffset)
  return bytes + (hasCall(value) ? value.readUInt32BE(value.length - callLengthBytes) : 0)
}

/**
 * Reads the message that a record comes from. `payload` is a view of the value.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeSource(value: Buffer): SourceMessage {
  const dataStart = checkLayout(value)
  const dataEnd = dataStart + value.readUInt32BE(dataLengthOffset)
  const has = (bit: number) => hasSection(value, bit)
  const textIf = (bit: number, index: number) => (has(bit) ? readText(value, index) : undefined)
  const messageId = readText(value, textAt.messageId)
  return {
    messageId,
    topic: readText(value, textAt.topic),
    timestampMs: value.readUIntBE(timestampOffset, 6),
    payload: has(section.payload)
      ? value.subarray(dataEnd, payloadEndOf(value))
      : value.subarray(dataStart, dataEnd),
    clientId: textIf(section.clientId, textAt.clientId),
    traceId: has(section.traceIdIsMessageId) ? messageId : textIf(section.traceId, textAt.traceId),
    principal: textIf(section.principal, textAt.principal),
    republishDepth: has(section.republishDepth) ? (value[depthOffset] ?? 0) : undefined,
  }
}

function sectionsOf({ explicitHashKey, data, source }: RecordToStore): number {
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

function textLength(value: Buffer, index: number): number {
  return value.readUInt16BE(textLengthsOffset + 2 * index)
}

function readText(value: Buffer, index: number): string {
  let start = headerBytesOf(value)
  for (let before = 0; before < index; before++) start += textLength(value, before)
  const encoding = hasSection(value, section.ascii) ? 'latin1' : 'utf8'
  return value.toString(encoding, start, start + textLength(value, index))
}

function hasSection(value: Buffer, bit: number): boolean {
  return ((value[1] ?? 0) & bit) !== 0
}

/** The layout without the bit for a call. */
function layoutOf(value: Buffer): number {
  return (value[0] ?? 0) & ~callBit
}

function headerBytesOf(value: Buffer): number {
  return layoutOf(value) === layout ? headerBytes : checksumOffset
}

function hasCall(value: Buffer): boolean {
  return ((value[0] ?? 0) & callBit) !== 0
}

/** Where the payload ends, or the data when there is no payload. */
function payloadEndOf(value: Buffer): number {
  if (!hasCall(value)) return value.length
  const lengthStart = value.length - callLengthBytes
  return lengthStart - value.readUInt32BE(lengthStart)
}

/** Returns where the data begins. */
function checkLayout(value: Buffer): number {
  const dataStart = dataStartOf(value)
  if (dataStart === undefined) throw unknownLayout(value)
  return dataStart
}

/** Where the data begins; undefined when the bytes are not of a known layout. */
function dataStartOf(value: Buffer): number | undefined {
  const isKnown = layoutOf(value) === layout || layoutOf(value) === layoutWithoutChecksum
  const header = headerBytesOf(value)
  const least = header + (hasCall(value) ? callLengthBytes : 0)
  if (!isKnown || value.length < least) return undefined
  let dataStart = header + (hasSection(value, section.explicitHashKey) ? hashKeyBytes : 0)
  for (let index = 0; index < textCount; index++) dataStart += textLength(value, index)
  const dataEnd = dataStart + value.readUInt32BE(dataLengthOffset)
  return dataEnd <= payloadEndOf(value) ? dataStart : undefined
}

function unknownLayout(value: Buffer): SluiceError {
  return new SluiceError(
    'DataFolderUnusable',
    `The outbox holds a record of an unknown layout (${value.subarray(0, 2).toString('hex')})`,
  )
}

function tooLong(bytes: number): SluiceError {
  return new SluiceError('OutboxWriteFailed', `A name of ${bytes} bytes does not fit a record`)
}
