import { encodeChunk } from './record-chunk.ts'
import { rowOf } from './stream-row.ts'
import type { StreamRow } from './stream-row.ts'
import { makeReadable } from './stream.ts'
import type { Shard, Stream } from './stream.ts'

/** The key of a chunk of records on disk; `ordinal` is that of its first record. */
export interface ChunkKey {
  /** The creation time of the stream, which identifies it. */
  readonly createdMs: number
  readonly shardNumber: number
  readonly ordinal: number
}

/** The chunks of a shard that are on disk. */
export interface ShardOnDisk {
  /** The ordinal of the first record that is not on disk. */
  nextOrdinal: number
  /** Oldest first. */
  readonly chunks: ChunkKey[]
  /** The size of the last chunk; a small one is written again together with new records. */
  lastChunkBytes: number
}

/** By the creation time of the stream, then by the number of the shard. */
export type DiskContents = Map<number, Map<number, ShardOnDisk>>

interface FlushWork {
  readonly appended: ReadonlyMap<Stream, ReadonlySet<Shard>>
  readonly changed: ReadonlySet<Stream>
  /** Deleted streams, which are never written again. */
  readonly deleted: WeakSet<Stream>
}

/** The changes of one transaction. */
export interface FlushPlan {
  readonly chunks: readonly { readonly key: ChunkKey; readonly bytes: Buffer }[]
  readonly removedChunks: readonly ChunkKey[]
  readonly rows: readonly StreamRow[]
  readonly removedRows: readonly number[]
  /** Call it when the transaction is written: it updates `contents`, and records can be read. */
  onWritten(): void
}

const chunkBytesMax = 1024 * 1024
/**
 * Smaller chunks are extended, so that a slow stream has few chunks too. Each flush writes such a
 * chunk again, so it is small.
 */
const chunkBytesMin = 16 * 1024

/** Plans the changes that bring the disk into line with the memory. */
export function planFlush(contents: DiskContents, work: FlushWork): FlushPlan {
  const chunks: { key: ChunkKey; bytes: Buffer }[] = []
  const removedChunks: ChunkKey[] = []
  const rows: StreamRow[] = []
  const removedRows: number[] = []
  const done: (() => void)[] = []

  function addDeleted(stream: Stream): void {
    for (const { chunks: keys } of contents.get(stream.createdMs)?.values() ?? []) {
      for (const key of keys) removedChunks.push(key)
    }
    removedRows.push(stream.createdMs)
    done.push(() => contents.delete(stream.createdMs))
  }

  /** @returns whether chunks of the shard are removed */
  function addShard(stream: Stream, shard: Shard): boolean {
    const before = contents.get(stream.createdMs)?.get(shard.number)
    const firstOrdinal = shard.log.firstOrdinal()
    const removed = before ? chunksBefore(before, firstOrdinal) : []
    removedChunks.push(...removed)
    const rewritten = before && growingChunk(before, firstOrdinal)
    const added: ChunkKey[] = []
    let lastChunkBytes = before?.lastChunkBytes ?? 0
    let ordinal = rewritten?.ordinal ?? Math.max(before?.nextOrdinal ?? 1, firstOrdinal)
    while (ordinal < shard.log.nextOrdinal()) {
      const key = { createdMs: stream.createdMs, shardNumber: shard.number, ordinal }
      const chunk = encodeChunk(shard.log, ordinal, chunkBytesMax)
      chunks.push({ key, bytes: chunk.bytes })
      added.push(key)
      lastChunkBytes = chunk.bytes.length
      ordinal = chunk.nextOrdinal
    }
    done.push(() => {
      const onDisk = shardOnDisk(contents, stream, shard)
      onDisk.chunks.splice(0, removed.length)
      if (rewritten) onDisk.chunks.pop()
      onDisk.chunks.push(...added)
      onDisk.nextOrdinal = ordinal
      onDisk.lastChunkBytes = lastChunkBytes
      makeReadable(shard, ordinal)
    })
    return removed.length > 0
  }

  for (const stream of new Set([...work.appended.keys(), ...work.changed])) {
    if (work.deleted.has(stream)) {
      addDeleted(stream)
      continue
    }
    const isChanged = work.changed.has(stream)
    const shards = isChanged ? stream.shards : (work.appended.get(stream) ?? [])
    const hasLess = [...shards].map((shard) => addShard(stream, shard)).includes(true)
    if (!isChanged && !hasLess && contents.has(stream.createdMs)) continue
    rows.push(rowOf(stream))
    const numbers = new Set(stream.shards.map(({ number }) => number))
    for (const [number, gone] of contents.get(stream.createdMs) ?? []) {
      if (numbers.has(number)) continue
      removedChunks.push(...gone.chunks)
      done.push(() => contents.get(stream.createdMs)?.delete(number))
    }
  }
  return {
    chunks,
    removedChunks,
    rows,
    removedRows,
    onWritten: () => done.forEach((apply) => apply()),
  }
}

/** The chunks without a readable record; a chunk ends where the next one begins. */
function chunksBefore({ chunks, nextOrdinal }: ShardOnDisk, firstOrdinal: number): ChunkKey[] {
  const firstReadable = chunks.findIndex(
    (_, index) => (chunks[index + 1]?.ordinal ?? nextOrdinal) > firstOrdinal,
  )
  return chunks.slice(0, firstReadable === -1 ? chunks.length : firstReadable)
}

/** The last chunk, if it is small and all of its records are readable. */
function growingChunk(before: ShardOnDisk, firstOrdinal: number): ChunkKey | undefined {
  const last = before.chunks.at(-1)
  const isGrowing = last && before.lastChunkBytes < chunkBytesMin && last.ordinal >= firstOrdinal
  return isGrowing ? last : undefined
}

function shardOnDisk(contents: DiskContents, stream: Stream, { number }: Shard): ShardOnDisk {
  const shards = contents.get(stream.createdMs) ?? new Map<number, ShardOnDisk>()
  contents.set(stream.createdMs, shards)
  const onDisk = shards.get(number) ?? { nextOrdinal: 1, chunks: [], lastChunkBytes: 0 }
  shards.set(number, onDisk)
  return onDisk
}
