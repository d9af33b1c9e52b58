import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { openDataFolder } from '../../storage/data-folder.ts'
import { committed, openEnvironment } from '../../storage/lmdb-environment.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { planFlush } from './flush-plan.ts'
import type { ChunkKey, DiskContents, FlushPlan, ShardOnDisk } from './flush-plan.ts'
import { decodeChunk } from './record-chunk.ts'
import type { StreamRow } from './stream-row.ts'
import type { Shard, Stream } from './stream.ts'
import type { StreamJournal } from './shard-storage.ts'
import type { StreamStore } from './streams.ts'
import { tokenKeyBytes } from '../wire/tokens.ts'

/**
 * The streams of the lab on disk: one LMDB environment, `<folder>/lab/`, with these tables.
 *
 *     streams  when the stream was created, ms (u64) -> its row as JSON (stream-row.ts)
 *     records  created (u64), shard (u32), ordinal (u64) -> records from that one on (record-chunk.ts)
 *     state    "tokenKey" -> what tokens are sealed with, so that iterators outlive a restart
 *
 * The disk follows the memory, `flushMs` behind: what was stored after the last flush is lost with
 * the process. Invariants: one flush is one transaction; a row is written with the flush that
 * takes records of its stream away, so that no ordinal is ever given twice; what the memory has
 * forgotten goes from the disk with the next flush (the file keeps its size).
 */
export interface LabDisk {
  readonly tokenKey: Buffer
  readonly journal: StreamJournal
  /** Puts what is on disk into an empty store. To be called once, before anything is stored. */
  restoreInto(streams: StreamStore): void
  /** Flushes what is left, and lets go of the folder. */
  close(): Promise<void>
}

const flushMs = 50
/** After a flush that failed, for want of room on the disk for example. */
const retryMs = 1_000
const tokenKeyName = Buffer.from('tokenKey')

type Table = Database<Buffer, Buffer>

interface Tables {
  readonly environment: RootDatabase<Buffer, Buffer>
  readonly streams: Table
  readonly records: Table
  readonly state: Table
}

/**
 * @throws SluiceError (rejects) DataFolderLocked, DataFolderOfAnother, DataFolderUnusable,
 *   DataFolderVersionUnsupported
 */
export async function openLabDisk(options: {
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
}): Promise<LabDisk> {
  const folder = await openDataFolder(options.directory, 'lab-streams')
  const tables = await openTables(path.join(folder.directory, 'lab'))
  const contents: DiskContents = new Map()
  const flusher = createFlusher(options, tables, contents)
  const tokenKey = await tokenKeyOf(tables)
  return {
    tokenKey,
    journal: flusher.journal,
    restoreInto: (streams) => restore(tables, contents, streams),
    async close() {
      await flusher.close()
      await tables.environment.close()
      folder.close()
    },
  }
}

async function openTables(directory: string): Promise<Tables> {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  try {
    const environment = await openEnvironment<Buffer, Buffer>(directory, binary)
    const table = (name: string): Table => environment.openDB({ name, ...binary })
    return {
      environment,
      streams: table('streams'),
      records: table('records'),
      state: table('state'),
    }
  } catch (error) {
    const message = `${directory} cannot be opened: ${messageOf(error)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: error })
  }
}

async function tokenKeyOf({ state }: Tables): Promise<Buffer> {
  const kept = state.get(tokenKeyName)
  if (kept) return Buffer.from(kept)
  const made = randomBytes(tokenKeyBytes)
  await state.put(tokenKeyName, made)
  return made
}

/** Writes what changed, a while after it did; never two flushes at a time. */
function createFlusher(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  tables: Tables,
  contents: DiskContents,
) {
  /** The shards that were written to; a stream that changed itself is in `changed` too. */
  let appended = new Map<Stream, Set<Shard>>()
  let changed = new Set<Stream>()
  const deleted = new WeakSet<Stream>()
  let flushing: Promise<void> | undefined
  let cancelTimer: (() => void) | undefined

  function schedule(delayMs: number): void {
    if (flushing || cancelTimer) return
    cancelTimer = clock.after(delayMs, () => {
      cancelTimer = undefined
      flushing = flushAndGoOn()
    })
  }

  async function flushAndGoOn(): Promise<void> {
    const isDone = await flush()
    flushing = undefined
    if (appended.size + changed.size > 0) schedule(isDone ? flushMs : retryMs)
  }

  async function flush(): Promise<boolean> {
    const work = { appended, changed, deleted }
    appended = new Map()
    changed = new Set()
    const plan = planFlush(contents, work)
    try {
      await commit(tables, plan)
    } catch (error) {
      for (const stream of [...work.appended.keys(), ...work.changed]) changed.add(stream)
      logger.warn({ err: error }, `the lab cannot write to its folder: ${messageOf(error)}`)
      return false
    }
    plan.onWritten()
    return true
  }

  const journal: StreamJournal = {
    changed(stream) {
      changed.add(stream)
      schedule(flushMs)
    },
    appended(stream, shard) {
      const shards = appended.get(stream)
      if (shards) {
        shards.add(shard)
        return
      }
      appended.set(stream, new Set([shard]))
      schedule(flushMs)
    },
    deleted(stream) {
      deleted.add(stream)
      changed.add(stream)
      schedule(flushMs)
    },
  }
  return {
    journal,
    async close() {
      cancelTimer?.()
      await flushing
      cancelTimer?.()
      await flush()
    },
  }
}

async function commit({ environment, streams, records }: Tables, plan: FlushPlan): Promise<void> {
  const transaction = environment.batch(() => {
    for (const key of plan.removedChunks) void records.remove(chunkKeyOf(key))
    for (const { key, bytes } of plan.chunks) void records.put(chunkKeyOf(key), bytes)
    for (const createdMs of plan.removedRows) void streams.remove(streamKeyOf(createdMs))
    for (const row of plan.rows) {
      void streams.put(streamKeyOf(row.createdMs), Buffer.from(JSON.stringify(row)))
    }
  })
  await committed(transaction)
}

function restore(tables: Tables, contents: DiskContents, streams: StreamStore): void {
  for (const { value } of tables.streams.getRange({})) {
    // Written by this program from a StreamRow.
    const row = JSON.parse(value.toString()) as StreamRow
    const shards = new Map<number, ShardOnDisk>()
    streams.restore(row, (shard, log) => {
      const onDisk: ShardOnDisk = { nextOrdinal: 1, chunks: [], lastChunkBytes: 0 }
      shards.set(shard.number, onDisk)
      for (const { key, value: bytes } of tables.records.getRange({
        start: chunkKeyOf({ createdMs: row.createdMs, shardNumber: shard.number, ordinal: 0 }),
        end: chunkKeyOf({ createdMs: row.createdMs, shardNumber: shard.number + 1, ordinal: 0 }),
      })) {
        const chunk = chunkKeyIn(key)
        onDisk.chunks.push(chunk)
        let { ordinal } = chunk
        for (const record of decodeChunk(bytes)) {
          // What the memory had forgotten already comes not back.
          if (ordinal >= shard.firstOrdinal) log.restore(ordinal, record)
          ordinal++
        }
        onDisk.nextOrdinal = ordinal
        onDisk.lastChunkBytes = bytes.length
      }
    })
    contents.set(row.createdMs, shards)
  }
}

function streamKeyOf(createdMs: number): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(createdMs))
  return key
}

function chunkKeyOf({ createdMs, shardNumber, ordinal }: ChunkKey): Buffer {
  const key = Buffer.alloc(20)
  key.writeBigUInt64BE(BigInt(createdMs), 0)
  key.writeUInt32BE(shardNumber, 8)
  key.writeBigUInt64BE(BigInt(ordinal), 12)
  return key
}

const chunkKeyIn = (key: Buffer): ChunkKey => ({
  createdMs: Number(key.readBigUInt64BE(0)),
  shardNumber: key.readUInt32BE(8),
  ordinal: Number(key.readBigUInt64BE(12)),
})
