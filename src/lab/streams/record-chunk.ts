import type { ShardLog } from './shard-log.ts'

/**
 * The format of one shard's records on disk, one after the other:
 *
 *     arrival, epoch ms (f64) | bytes of the key (u16) | bytes of the data (u32) | key | data
 *
 * Numbers are big-endian. Ordinals are not written: they follow from the ordinal of the chunk.
 */
interface ChunkRecord {
  readonly arrivalMs: number
  readonly partitionKey: string
  readonly data: Buffer
}

const headBytes = 14

/** Encodes the readable records from `fromOrdinal` on, about `bytesMax` and at least one. */
export function encodeChunk(
  log: ShardLog,
  fromOrdinal: number,
  bytesMax: number,
): { readonly bytes: Buffer; readonly nextOrdinal: number } {
  const parts: Buffer[] = []
  let sizeBytes = 0
  let nextOrdinal = fromOrdinal
  while (sizeBytes < bytesMax) {
    const record = log.at(nextOrdinal)
    if (!record) break
    const head = Buffer.alloc(headBytes)
    head.writeDoubleBE(record.arrivalMs, 0)
    head.writeUInt16BE(record.sizeBytes - record.data.length, 8)
    head.writeUInt32BE(record.data.length, 10)
    parts.push(head, Buffer.from(record.partitionKey), record.data)
    sizeBytes += headBytes + record.sizeBytes
    nextOrdinal++
  }
  return { bytes: Buffer.concat(parts, sizeBytes), nextOrdinal }
}

/** @throws RangeError for bytes that are not a chunk */
export function* decodeChunk(bytes: Buffer): Generator<ChunkRecord> {
  let at = 0
  while (at < bytes.length) {
    const arrivalMs = bytes.readDoubleBE(at)
    const keyEnd = at + headBytes + bytes.readUInt16BE(at + 8)
    const end = keyEnd + bytes.readUInt32BE(at + 10)
    if (end > bytes.length) throw new RangeError('a record reaches beyond the end of its chunk')
    yield {
      arrivalMs,
      partitionKey: bytes.toString('utf8', at + headBytes, keyEnd),
      data: bytes.subarray(keyEnd, end),
    }
    at = end
  }
}
