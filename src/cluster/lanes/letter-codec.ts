/**
 * The data of a dead letter in the log.
 *
 *     0  u8   1: a dead letter; 2: a chunk that could not be read, as it was
 *     1  u32  bytes of the destination, big-endian
 *     5       the destination: its canonical text, or for a damaged chunk its token; UTF-8
 *             the dead letter (outbox/store/dead-letter-codec.ts), or the data of the chunk
 */
const headerBytes = 5
const kinds = Object.freeze({ deadLetter: 1, damagedChunk: 2 })

interface Letter {
  readonly kind: keyof typeof kinds
  readonly destination: string
  readonly value: Uint8Array
}

export function encodeLetter({ kind, destination, value }: Letter): Buffer {
  const header = Buffer.alloc(headerBytes)
  header[0] = kinds[kind]
  const name = Buffer.from(destination)
  header.writeUInt32BE(name.length, 1)
  return Buffer.concat([header, name, value])
}

/** @returns undefined when it is no dead letter of this release */
export function decodeLetter(given: Uint8Array): Letter | undefined {
  const data = Buffer.from(given.buffer, given.byteOffset, given.length)
  const kind = data[0] === kinds.damagedChunk ? 'damagedChunk' : 'deadLetter'
  if (data[0] !== kinds[kind] || data.length < headerBytes) return undefined
  const nameEnd = headerBytes + data.readUInt32BE(1)
  if (nameEnd > data.length) return undefined
  const destination = data.toString('utf8', headerBytes, nameEnd)
  return { kind, destination, value: data.subarray(nameEnd) }
}
