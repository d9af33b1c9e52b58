/**
 * Rows of LMDB other than the records of the outbox carry a checksum in front:
 *
 *     0  u8   0xa7, with which no row begins that has none
 *     1  u32  CRC-32C of the key and the value, big-endian
 *     5       the value
 *
 * Rows of earlier releases have none. They are read as they are.
 */
import { crc32c } from '../base/crc32c.ts'

const tag = 0xa7
const headerBytes = 5

export function sealRow(key: Buffer, value: Buffer): Buffer {
  const header = Buffer.allocUnsafe(headerBytes)
  header[0] = tag
  header.writeUInt32BE(checksumOf(key, value), 1)
  return Buffer.concat([header, value])
}

/** Whether a row has a checksum. */
export const isSealed = (stored: Buffer): boolean => stored[0] === tag

/**
 * The value of a row.
 *
 * @param isOfBefore whether the bytes can be a row that has no checksum
 * @returns undefined when it is not as it was written
 */
export function openRow(
  key: Buffer,
  stored: Buffer,
  isOfBefore: (stored: Buffer) => boolean,
): Buffer | undefined {
  if (!isSealed(stored)) return isOfBefore(stored) ? stored : undefined
  if (stored.length < headerBytes) return undefined
  const value = stored.subarray(headerBytes)
  return stored.readUInt32BE(1) === checksumOf(key, value) ? value : undefined
}

const checksumOf = (key: Buffer, value: Buffer): number =>
  crc32c(value, 0, value.length, crc32c(key))
