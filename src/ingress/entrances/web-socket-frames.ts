/**
 * Follows the frames of a WebSocket (RFC 6455, 5.2) as their bytes arrive, to measure the partial
 * message that the library buffers without reporting it.
 *
 *   byte 0: FIN, opcode | byte 1: MASK, length | [2 or 8 bytes: length] | [4 bytes: mask] | payload
 *
 * The library finds invalid frames; nothing is followed after one.
 */
interface FrameFollower {
  follow(chunk: Buffer): void
  /** Bytes of the partial message: its payload so far, and the overhead of its pieces. */
  readonly heldBytes: number
  /** How many messages became whole: tells one partial message from the next. */
  readonly messages: number
}

/** Each piece of a message, a frame or a chunk that was read, is an object of its own. */
export const pieceOverheadBytes = 128

const finalBit = 0x80
const opcodeBits = 0x0f
const controlOpcodes = 0x08
const maskBit = 0x80
const lengthBits = 0x7f

export function createFrameFollower(): FrameFollower {
  const header = Buffer.alloc(14)
  let headerBytes = 0
  let payloadLeft = 0
  let isFinal = false
  let isData = false
  let heldBytes = 0
  let messages = 0

  function endFrame(): void {
    if (!isData || !isFinal) return
    heldBytes = 0
    messages++
  }

  function beginFrame(): void {
    const [first = 0] = header
    isFinal = (first & finalBit) !== 0
    isData = (first & opcodeBits) < controlOpcodes
    payloadLeft = payloadLengthOf(header)
    headerBytes = 0
    if (isData) heldBytes += pieceOverheadBytes
    if (payloadLeft === 0) endFrame()
  }

  return {
    follow(chunk) {
      for (let at = 0; at < chunk.length;) {
        if (payloadLeft === 0) {
          header[headerBytes++] = chunk[at++] ?? 0
          if (headerBytes >= 2 && headerBytes === headerLengthOf(header)) beginFrame()
          continue
        }
        const taken = Math.min(payloadLeft, chunk.length - at)
        at += taken
        payloadLeft -= taken
        if (isData) heldBytes += taken + (payloadLeft > 0 ? pieceOverheadBytes : 0)
        if (payloadLeft === 0) endFrame()
      }
    },
    get heldBytes() {
      return heldBytes
    },
    get messages() {
      return messages
    },
  }
}

function headerLengthOf(header: Buffer): number {
  const second = header.readUInt8(1)
  const length = second & lengthBits
  const lengthBytes = length === 127 ? 8 : length === 126 ? 2 : 0
  return 2 + lengthBytes + ((second & maskBit) === 0 ? 0 : 4)
}

function payloadLengthOf(header: Buffer): number {
  const length = header.readUInt8(1) & lengthBits
  if (length === 126) return header.readUInt16BE(2)
  return length === 127 ? Number(header.readBigUInt64BE(2)) : length
}
