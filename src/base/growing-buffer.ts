/** A buffer that pieces are added to. */
interface GrowingBuffer {
  readonly length: number
  /** @returns the bytes by which the memory for it has grown */
  append(chunk: Buffer): number
  /** A view of what was added. */
  bytes(): Buffer
}

/**
 * Puts pieces together in one buffer that doubles. Kept apart, pieces of one byte would each take a
 * hundred times their length.
 *
 * @param bytesMax the caller adds no more than this
 */
export function createGrowingBuffer(bytesMax: number): GrowingBuffer {
  let buffer = Buffer.alloc(0)
  let length = 0
  return {
    get length() {
      return length
    },
    append(chunk) {
      const needed = length + chunk.length
      const grown = needed - buffer.length
      if (grown <= 0) {
        chunk.copy(buffer, length)
        length = needed
        return 0
      }
      const before = buffer.length
      const size = before === 0 ? needed : Math.min(bytesMax, Math.max(needed, 2 * before))
      const next = Buffer.allocUnsafeSlow(size)
      buffer.copy(next, 0, 0, length)
      chunk.copy(next, length)
      buffer = next
      length = needed
      return size - before
    },
    bytes: () => buffer.subarray(0, length),
  }
}
