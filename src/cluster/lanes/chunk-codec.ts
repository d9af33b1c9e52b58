/**
 * The data of a chunk: records of one destination and lane. All numbers are big-endian.
 *
 *     0  u8   layout: 1
 *     1  u32  checksum: CRC-32C of the layout and of all that follows the checksum
 *     5  u32  bytes of the destination
 *     9       the destination: its canonical text, UTF-8; none for actions that failed
 *             for each record: its bytes, u32; its value (outbox/store/record-layout.ts), or the
 *             dead letter of an action that failed (outbox/store/dead-letter-codec.ts)
 *
 * A value has no key in the log, so that its own checksum is left out.
 */
import { crc32c } from '../../base/crc32c.ts'

const layout = 1
const checksumOffset = 1
const headerBytes = 9
export const lengthBytes = 4

/** The bytes of a chunk of records whose values take so many bytes. */
export function chunkBytes(json: string, count: number, valueBytes: number): number {
  return headerBytes + Buffer.byteLength(json) + count * lengthBytes + valueBytes
}

/** @param json the canonical text of the destination */
export function encodeChunk(json: string, values: readonly Buffer[]): Buffer {
  const valueBytes = values.reduce((sum, { length }) => sum + length, 0)
  const data = Buffer.allocUnsafe(chunkBytes(json, values.length, valueBytes))
  data[0] = layout
  let at = headerBytes + data.write(json, headerBytes)
  data.writeUInt32BE(at - headerBytes, headerBytes - lengthBytes)
  for (const value of values) {
    at = data.writeUInt32BE(value.length, at)
    at += value.copy(data, at)
  }
  data.writeUInt32BE(checksumOf(data), checksumOffset)
  return data
}

/** What a chunk holds. `newer`: a later release wrote it in a layout that this one cannot read. */
type DecodedChunk =
  | { readonly kind: 'records'; readonly json: string; readonly values: readonly Buffer[] }
  | { readonly kind: 'newer' }
  | { readonly kind: 'damaged' }

/** Reads a chunk. The values are views of its data. */
export function decodeChunk(given: Uint8Array): DecodedChunk {
  const data = Buffer.from(given.buffer, given.byteOffset, given.length)
  if (data.length < headerBytes || data.readUInt32BE(checksumOffset) !== checksumOf(data)) {
    return { kind: 'damaged' }
  }
  if (data[0] !== layout) return { kind: 'newer' }
  let at = headerBytes + data.readUInt32BE(headerBytes - lengthBytes)
  const json = data.toString('utf8', headerBytes, at)
  const values: Buffer[] = []
  while (at + lengthBytes <= data.length) {
    const start = at + lengthBytes
    at = start + data.readUInt32BE(at)
    values.push(data.subarray(start, at))
  }
  return at === data.length ? { kind: 'records', json, values } : { kind: 'damaged' }
}

/**
 * The number of records that a chunk holds, without a look at its checksum; 1 for a chunk that
 * cannot be read.
 */
export function countInChunk(given: Uint8Array): number {
  const data = Buffer.from(given.buffer, given.byteOffset, given.length)
  if (data.length < headerBytes || data[0] !== layout) return 1
  let count = 0
  let at = headerBytes + data.readUInt32BE(headerBytes - lengthBytes)
  while (at + lengthBytes <= data.length) {
    at += lengthBytes + data.readUInt32BE(at)
    count += 1
  }
  return at === data.length ? count : 1
}

function checksumOf(data: Buffer): number {
  const before = crc32c(data, 0, checksumOffset)
  return crc32c(data, headerBytes - lengthBytes, data.length, before)
}
