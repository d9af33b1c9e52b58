import { batchMessagesMax, chunkBytesMax } from '../log/replicated-log.ts'
import type { Chunk } from '../log/replicated-log.ts'
import { chunkBytes, encodeChunk, lengthBytes } from './chunk-codec.ts'
import type { NamedDestination } from './destination-token.ts'

/** A record that is to be stored in the log. */
export interface EncodedRecord {
  readonly lane: number
  readonly named: NamedDestination
  readonly value: Buffer
}

interface OpenChunk extends Omit<EncodedRecord, 'value'> {
  readonly values: Buffer[]
  bytes: number
}

/** The chunks that are stored together: those of one lane and destination follow each other. */
export interface ChunkBatch {
  /** Whether the batch surely takes these records as well. */
  hasRoomFor(records: readonly EncodedRecord[]): boolean
  add(records: readonly EncodedRecord[]): void
  count(): number
  encode(): Chunk[]
}

export function createChunkBatch(): ChunkBatch {
  const all: OpenChunk[] = []
  /** The last chunk of each lane and destination. */
  const open = new Map<string, OpenChunk>()

  function openFor({ lane, named, value }: EncodedRecord): OpenChunk {
    const key = `${lane} ${named.token}`
    const known = open.get(key)
    if (known && known.bytes + lengthBytes + value.length <= chunkBytesMax) return known
    const chunk = { lane, named, values: [], bytes: chunkBytes(named.json, 0, 0) }
    all.push(chunk)
    open.set(key, chunk)
    return chunk
  }

  return {
    // Each record begins one chunk at most.
    hasRoomFor: (records) => all.length === 0 || all.length + records.length <= batchMessagesMax,
    add(records) {
      for (const record of records) {
        const chunk = openFor(record)
        chunk.values.push(record.value)
        chunk.bytes += lengthBytes + record.value.length
      }
    },
    count: () => all.length,
    encode: () =>
      all.map(({ lane, named, values }) => {
        return { lane, destination: named.token, data: encodeChunk(named.json, values) }
      }),
  }
}
