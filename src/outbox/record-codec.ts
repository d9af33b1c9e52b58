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
 *     1  u8   sections: 0. A bit announces a section between partition key and data; bit 0 is kept
 *             for an explicit hash key (16 bytes), bit 1 for attributes (u32 length, JSON).
 *     2  u16  action index
 *     4  u48  accepted at, epoch milliseconds
 *    10  u16  length of the rule name
 *    12  u16  length of the partition key
 *    14       rule name, UTF-8; partition key, UTF-8; data to the end
 *
 * Not an encoding of objects: the value is written and read once a record on the message path, and
 * what stands on disk must not depend on how a library packs a JavaScript object.
 */
import { SluiceError } from '../errors.ts'

export const keyBytes = 12
const headerBytes = 14
const layout = 1
const lengthMax = 0xffff
const wordValues = 0x1_0000_0000

/** What of a record goes into its value. */
export interface StoredRecord {
  readonly ruleName: string
  readonly actionIndex: number
  readonly acceptedAtMs: number
  readonly partitionKey: string
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

/** The value of a record, in a buffer of its own: `data` may be reused afterwards. */
export function encodeRecord(record: StoredRecord): Buffer {
  const ruleNameBytes = textBytes(record.ruleName)
  const partitionKeyBytes = textBytes(record.partitionKey)
  const dataStart = headerBytes + ruleNameBytes + partitionKeyBytes
  const value = Buffer.allocUnsafe(dataStart + record.data.length)
  value[0] = layout
  value[1] = 0
  value.writeUInt16BE(record.actionIndex, 2)
  value.writeUIntBE(record.acceptedAtMs, 4, 6)
  value.writeUInt16BE(ruleNameBytes, 10)
  value.writeUInt16BE(partitionKeyBytes, 12)
  value.write(record.ruleName, headerBytes, 'utf8')
  value.write(record.partitionKey, headerBytes + ruleNameBytes, 'utf8')
  record.data.copy(value, dataStart)
  return value
}

/** Bytes of data and partition key: what Kinesis counts, and what the outbox counts. */
export function payloadBytesOf(value: Buffer): number {
  checkLayout(value)
  return value.length - headerBytes - value.readUInt16BE(10)
}

export function acceptedAtMsOf(value: Buffer): number {
  checkLayout(value)
  return value.readUIntBE(4, 6)
}

/**
 * The record of a value. `data` is a view of it.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of this layout
 */
export function decodeRecord(value: Buffer): StoredRecord {
  checkLayout(value)
  const ruleNameEnd = headerBytes + value.readUInt16BE(10)
  const dataStart = ruleNameEnd + value.readUInt16BE(12)
  return {
    ruleName: value.toString('utf8', headerBytes, ruleNameEnd),
    actionIndex: value.readUInt16BE(2),
    acceptedAtMs: value.readUIntBE(4, 6),
    partitionKey: value.toString('utf8', ruleNameEnd, dataStart),
    data: value.subarray(dataStart),
  }
}

function checkLayout(value: Buffer): void {
  if (value[0] === layout && value[1] === 0 && value.length >= headerBytes) {
    const dataStart = headerBytes + value.readUInt16BE(10) + value.readUInt16BE(12)
    if (dataStart <= value.length) return
  }
  throw new SluiceError(
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
