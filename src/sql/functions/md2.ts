/**
 * MD2 (RFC 1319), which node:crypto lacks. For compatibility with AWS IoT, not for security.
 */

const blockBytes = 16
const rounds = 18

/** The permutation of 0 to 255 made from the digits of pi (RFC 1319, section 3.2). */
const substitution = Buffer.from(
  '292e43c9a2d87c013d3654a1ecf0061362a705f3c0c7738c98932bd9bc4c82ca' +
    '1e9b573cfdd4e01667426f188a17e512be4ec4d6da9ede49a0fbf58ebb2fee7a' +
    'a968799115b2073f94c210890b225f21807f5d9a5a903227353ecce7bff79703' +
    'ff1930b348a5b5d1d75e922aac56aac64fb838d296a47db676fc6be29c7404f1' +
    '459d705964718720865bcf65e62da8021b6025adaeb0b9f61c46616934407e0f' +
    '5547a323dd51af3ac35cf9cebac5ea262c530d6e85288409d3dfcdf441814d52' +
    '6adc37c86cc1abfa24e17b080cbdb14a7888958be363e86de9cbd5fe3b001d39' +
    'f2efb70e6658d0e4a67772f8eb754b0a314450b48fed1f1adb998d339f118314',
  'hex',
)

/** @returns the digest of 16 bytes */
export function md2(message: Buffer): Buffer {
  const padding = blockBytes - (message.length % blockBytes)
  const padded = Buffer.concat([message, Buffer.alloc(padding, padding)])
  const checksum = Buffer.alloc(blockBytes)
  const state = Buffer.alloc(3 * blockBytes)
  for (let at = 0; at < padded.length; at += blockBytes) {
    const block = padded.subarray(at, at + blockBytes)
    addToChecksum(checksum, block)
    addToState(state, block)
  }
  addToState(state, checksum)
  return state.subarray(0, blockBytes)
}

function addToChecksum(checksum: Buffer, block: Buffer): void {
  let last = byteAt(checksum, blockBytes - 1)
  for (let index = 0; index < blockBytes; index++) {
    last = byteAt(checksum, index) ^ byteAt(substitution, byteAt(block, index) ^ last)
    checksum[index] = last
  }
}

/** The state: the digest so far, the block, and the XOR of both. */
function addToState(state: Buffer, block: Buffer): void {
  for (let index = 0; index < blockBytes; index++) {
    const byte = byteAt(block, index)
    state[blockBytes + index] = byte
    state[2 * blockBytes + index] = byte ^ byteAt(state, index)
  }
  let last = 0
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < state.length; index++) {
      last = byteAt(state, index) ^ byteAt(substitution, last)
      state[index] = last
    }
    last = (last + round) % 256
  }
}

function byteAt(bytes: Buffer, index: number): number {
  return bytes[index] ?? 0
}
