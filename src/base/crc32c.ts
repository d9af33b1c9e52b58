/**
 * CRC-32C (Castagnoli), the checksum of iSCSI [RFC 3720, 12.1]: it finds every error of one bit,
 * and every burst of up to 32 bits.
 *
 * Eight bytes a step, with a table for each of them ("slicing by 8"). It is written in JavaScript
 * because the records of messages are small: a native call costs as much as their checksum.
 */
const polynomial = 0x82f63b78
const bytesAStep = 8
const tableEntries = 256
const tables = createTables()

/**
 * @param bytes from `start` up to `end`, which is left out
 * @param before the checksum of what stands before these bytes
 * @returns the checksum, an unsigned number of 32 bits
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  let crc = ~before
  let at = start
  for (; at + bytesAStep <= end; at += bytesAStep) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8)
    crc ^= (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24)
    crc =
      entry(7, crc & 0xff) ^
      entry(6, (crc >>> 8) & 0xff) ^
      entry(5, (crc >>> 16) & 0xff) ^
      entry(4, crc >>> 24) ^
      entry(3, byte(bytes, at + 4)) ^
      entry(2, byte(bytes, at + 5)) ^
      entry(1, byte(bytes, at + 6)) ^
      entry(0, byte(bytes, at + 7))
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ entry(0, (crc ^ byte(bytes, at)) & 0xff)
  return ~crc >>> 0
}

/** Within the bounds of the loops: `?? 0` is for the compiler, which cannot know that. */
const byte = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0
const entry = (table: number, index: number): number => tables[table * tableEntries + index] ?? 0

function createTables(): Int32Array {
  const made = new Int32Array(bytesAStep * tableEntries)
  for (let index = 0; index < tableEntries; index++) {
    let crc = index
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    made[index] = crc
  }
  for (let index = tableEntries; index < made.length; index++) {
    const before = made[index - tableEntries] ?? 0
    made[index] = (before >>> 8) ^ (made[before & 0xff] ?? 0)
  }
  return made
}
