/** An answer about metadata takes about 100 bytes for each partition of a topic. */
const frameBytesMax = 16 * 1_024 * 1_024
const headerBytes = 4

/**
 * Checks the lengths of the answers in a stream of bytes, of which each begins with four bytes that
 * say how many follow.
 *
 * @returns takes the next bytes. It throws an Error when an answer is too long or too short
 */
export function createFrameCheck(): (chunk: Buffer) => void {
  /** Bytes of the frame that are still to come. */
  let left = 0
  let header = 0
  let headerLeft = headerBytes

  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (left > 0) {
        const taken = Math.min(left, chunk.length - at)
        left -= taken
        at += taken
        continue
      }
      header = header * 0x1_00 + (chunk[at] ?? 0)
      at += 1
      headerLeft -= 1
      if (headerLeft > 0) continue
      if (header < headerBytes || header > frameBytesMax) {
        throw new Error(`the broker announces an answer of ${header} bytes`)
      }
      left = header
      header = 0
      headerLeft = headerBytes
    }
  }
}
