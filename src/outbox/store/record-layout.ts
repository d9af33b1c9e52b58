/**
 * The bytes of a record in the outbox. All numbers are big-endian.
 *
 *     0  u8   layout: 2, with bits for a call and for properties, see `callBit`
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
 *             [payload]; [properties, see storage/stored-properties.ts, and their length, u32];
 *             [call, UTF-8, and its length, u32]
 *
 * The parts in brackets are there when their bit is set; an absent text has no bytes. A
 * trace id that equals the message id, and a payload that equals the data, are not stored twice.
 *
 * Layout 1, of earlier releases, has no checksum: its texts begin at 35. It is read, not written.
 *
 * Layout 3 is that of a record that shares its message with others, see sharing.ts. The message is
 * a record of layout 2 under the destination 0, with neither rule nor partition key. The record has
 * the texts of its rule and its partition key alone, no payload, and before its data
 *
 *        u64  sequence of the message
 *        u32  bytes of the message's value
 *        u32  where in that value the data begins; 0: the data is here
 */
import { SluiceError } from '../../base/errors.ts'

export const acceptedAtOffset = 4
export const timestampOffset = 10
export const dataLengthOffset = 16
export const textLengthsOffset = 20
export const depthOffset = 34
export const checksumOffset = 35
export const headerBytes = 39
export const hashKeyBytes = 16
export const layout = 2
export const layoutWithoutChecksum = 1
export const layoutSharing = 3
export const referenceBytes = 16
/** Set in the layout of a record that has a call. Releases before calls refuse such a record. */
export const callBit = 0x40
/** The same for a record whose message has properties of MQTT 5, and for such a message itself. */
export const propertiesBit = 0x20
export const partBits = callBit | propertiesBit
/** Of the parts that stand at the end, each with its length behind it. */
export const partLengthBytes = 4

export const section = Object.freeze({
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
export const textAt = Object.freeze({
  ruleName: 0,
  partitionKey: 1,
  messageId: 2,
  topic: 3,
  clientId: 4,
  traceId: 5,
  principal: 6,
})
export const textCount = 7

export function textLength(value: Buffer, index: number): number {
  return value.readUInt16BE(textLengthsOffset + 2 * index)
}

export function readText(value: Buffer, index: number): string {
  let start = headerBytesOf(value)
  for (let before = 0; before < index; before++) start += textLength(value, before)
  const encoding = hasSection(value, section.ascii) ? 'latin1' : 'utf8'
  return value.toString(encoding, start, start + textLength(value, index))
}

export function hasSection(value: Buffer, bit: number): boolean {
  return ((value[1] ?? 0) & bit) !== 0
}

/** Whether the layout of a record has a checksum. */
export const hasChecksum = (value: Buffer): boolean =>
  layoutOf(value) === layout || layoutOf(value) === layoutSharing

/** The layout without the bits of parts. */
export function layoutOf(value: Buffer): number {
  return (value[0] ?? 0) & ~partBits
}

export function headerBytesOf(value: Buffer): number {
  return hasChecksum(value) ? headerBytes : checksumOffset
}

export function hasCall(value: Buffer): boolean {
  return ((value[0] ?? 0) & callBit) !== 0
}

export function hasProperties(value: Buffer): boolean {
  return ((value[0] ?? 0) & propertiesBit) !== 0
}

/** Where the call begins, or where the value ends when there is none. Below 0: it is cut off. */
export function callStartOf(value: Buffer): number {
  return hasCall(value) ? partStart(value, value.length) : value.length
}

/** Where the payload ends, or the data when there is no payload. Below 0: the value is cut off. */
export function payloadEndOf(value: Buffer): number {
  if (((value[0] ?? 0) & partBits) === 0) return value.length
  const end = callStartOf(value)
  return hasProperties(value) ? partStart(value, end) : end
}

/** Where a part begins whose length ends at `end`. */
function partStart(value: Buffer, end: number): number {
  const lengthStart = end - partLengthBytes
  return lengthStart < checksumOffset ? -1 : lengthStart - value.readUInt32BE(lengthStart)
}

/** Returns where the data begins. */
export function checkLayout(value: Buffer): number {
  const dataStart = dataStartOf(value)
  if (dataStart === undefined) throw unknownLayout(value)
  return dataStart
}

/** Where the data begins; undefined when the bytes are not of a known layout. */
export function dataStartOf(value: Buffer): number | undefined {
  const isKnown = hasChecksum(value) || layoutOf(value) === layoutWithoutChecksum
  const header = headerBytesOf(value)
  if (!isKnown || value.length < header) return undefined
  let dataStart = header + (hasSection(value, section.explicitHashKey) ? hashKeyBytes : 0)
  for (let index = 0; index < textCount; index++) dataStart += textLength(value, index)
  const end = payloadEndOf(value)
  let dataBytes = value.readUInt32BE(dataLengthOffset)
  if (layoutOf(value) === layoutSharing) {
    dataStart += referenceBytes
    if (dataStart <= end && value.readUInt32BE(dataStart - 4) > 0) dataBytes = 0
  }
  return dataStart + dataBytes <= end ? dataStart : undefined
}

export function unknownLayout(value: Buffer): SluiceError {
  return new SluiceError(
    'DataFolderUnusable',
    `The outbox holds a record of an unknown layout (${value.subarray(0, 2).toString('hex')})`,
  )
}
