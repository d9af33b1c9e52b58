/** Explicit hash keys, 0 to 2^128 - 1: decimal text outside, 16 bytes, big-endian, on disk. */
const halfBits = 64n
const halfMask = 0xffff_ffff_ffff_ffffn

/** Writes a hash key at an offset; gives the offset after it. */
export function writeHashKey(target: Buffer, text: string, offset: number): number {
  const number = BigInt(text)
  target.writeBigUInt64BE(number >> halfBits, offset)
  return target.writeBigUInt64BE(number & halfMask, offset + 8)
}

export function readHashKey(source: Buffer, offset: number): string {
  const high = source.readBigUInt64BE(offset)
  return ((high << halfBits) | source.readBigUInt64BE(offset + 8)).toString()
}
