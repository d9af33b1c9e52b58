import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { openDataFolder } from '../../storage/data-folder.ts'
import { committed, openEnvironment } from '../../storage/lmdb-environment.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createDiskFlusher } from './disk-flusher.ts'
import type { DiskFlusher } from './disk-flusher.ts'
import type { ChunkKey, DiskContents, FlushPlan, ShardOnDisk } from './flush-plan.ts'
import { decodeChunk } from './record-chunk.ts'
import type { StreamRow } from './stream-row.ts'
import type { StreamJournal } from './shard-storage.ts'
import type { StreamStore } from './streams.ts'
import { tokenKeyBytes } from '../wire/tokens.ts'

/**
 * The streams of the lab on disk: one LMDB environment, `<folder>/lab/`, with these tables.
 *
 *     streams  creation time of the stream, ms (u64) -> its row as JSON (stream-row.ts)
 *     records  created (u64), shard (u32), ordinal (u64) -> a chunk of records (record-chunk.ts)
 *     state    "tokenKey" -> the key that seals tokens, so that iterators survive a restart
 *
 * Invariants: a change is answered, and a record can be read, when it is on disk (disk-flusher.ts);
 * one flush is one transaction; the flush that removes records of a stream also writes its row, so
 * that no ordinal is assigned twice; records that the memory has dropped are removed from the disk
 * by one of the next flushes (the file does not shrink).
 */
export interface LabDisk {
  readonly tokenKey: Buffer
  readonly journal: StreamJournal
  readonly refuseWhileFailing: DiskFlusher['refuseWhileFailing']
  readonly durable: DiskFlusher['durable']
  /** Restores the streams on disk into an empty store. Call it once, before anything is stored. */
  restoreInto(streams: StreamStore): void
  /** Flushes the remaining changes, and releases the folder. */
  close(): Promise<void>
}

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
  const flusher = createDiskFlusher(
    { ...options, commit: (plan) => commit(tables, plan) },
    contents,
  )
  const tokenKey = await tokenKeyOf(tables)
  return {
    tokenKey,
    journal: flusher.journal,
    refuseWhileFailing: () => flusher.refuseWhileFailing(),
    durable: () => flusher.durable(),
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
  } catch (thrown) {
    const message = `${directory} cannot be opened: ${messageOf(thrown)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
  }
}

async function tokenKeyOf({ state }: Tables): Promise<Buffer> {
  const stored = state.get(tokenKeyName)
  if (stored) return Buffer.from(stored)
  const made = randomBytes(tokenKeyBytes)
  await state.put(tokenKeyName, made)
  return made
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
    // This program wrote it from a StreamRow.
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
          // Records that had expired are not restored.
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
