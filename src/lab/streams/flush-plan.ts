import { encodeChunk } from './record-chunk.ts'
import { rowOf } from './stream-row.ts'
import type { StreamRow } from './stream-row.ts'
import type { Shard, Stream } from './stream.ts'

/** Where a chunk of records stands on disk; `ordinal` is that of its first record. */
export interface ChunkKey {
  /** Of the stream: what tells it apart. */
  readonly createdMs: number
  readonly shardNumber: number
  readonly ordinal: number
}

/** What is on disk of a shard, chunks in order. */
export interface ShardOnDisk {
  /** Of the first record that is not on disk. */
  nextOrdinal: number
  /** In order, the oldest first. */
  readonly chunks: ChunkKey[]
  /** Size of the last of them: while it is small, it is written again with what follows. */
  lastChunkBytes: number
}

/** By the creation of the stream, then by the number of the shard. */
export type DiskContents = Map<number, Map<number, ShardOnDisk>>

interface FlushWork {
  readonly appended: ReadonlyMap<Stream, ReadonlySet<Shard>>
  readonly changed: ReadonlySet<Stream>
  /** Streams that were deleted: never written again, whatever is still put to them. */
  readonly deleted: WeakSet<Stream>
}

/** What one transaction writes. */
export interface FlushPlan {
  readonly chunks: readonly { readonly key: ChunkKey; readonly bytes: Buffer }[]
  readonly removedChunks: readonly ChunkKey[]
  readonly rows: readonly StreamRow[]
  readonly removedRows: readonly number[]
  /** To be called when it is written: changes `contents`. */
  onWritten(): void
}

const chunkBytesMax = 1024 * 1024
/** Smaller ones grow, so that a slow stream has few chunks, too. */
const chunkBytesMin = 64 * 1024

/** Compares the memory with what is on disk. */
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

  /** True when the shard has less on disk afterwards. */
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

/** Those without a record that is still readable: a chunk ends where the next one begins. */
function chunksBefore({ chunks, nextOrdinal }: ShardOnDisk, firstOrdinal: number): ChunkKey[] {
  const kept = chunks.findIndex(
    (_, index) => (chunks[index + 1]?.ordinal ?? nextOrdinal) > firstOrdinal,
  )
  return chunks.slice(0, kept === -1 ? chunks.length : kept)
}

/** The last chunk, if it is small and whole. */
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
