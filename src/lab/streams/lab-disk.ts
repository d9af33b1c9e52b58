import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { openDataFolder } from '../../storage/data-folder.ts'
import { unusable } from '../../storage/folder-format.ts'
import { committed, openEnvironment } from '../../storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../../storage/lmdb-environment.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createDiskFlusher } from './disk-flusher.ts'
import type { DiskFlusher } from './disk-flusher.ts'
import type { ChunkKey, DiskContents, FlushPlan, ShardOnDisk } from './flush-plan.ts'
import { parseStreamArn } from './namespace.ts'
import type { Namespace } from './namespace.ts'
import { decodeChunk } from './record-chunk.ts'
import type { StreamRow } from './stream-row.ts'
import type { StreamJournal } from './shard-storage.ts'
import type { StreamNamespaces } from './stream-namespaces.ts'
import { tokenKeyBytes } from '../wire/tokens.ts'

/**
 * The streams of the lab on disk: one LMDB environment, `<folder>/lab/`, with these tables.
 *
 *     streams  creation time of the stream, ms (u64) -> its row as JSON (stream-row.ts)
 *     records  created (u64), shard (u32), ordinal (u64) -> a chunk of records (record-chunk.ts)
 *     state    "tokenKey" -> the key that seals tokens, so that iterators survive a restart
 *              "home" -> the account and the region of the lab as JSON: its streams follow it
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
  /**
   * Restores the streams on disk. Those of the lab's own account and region move to the ones that
   * it has now. Call it once, before anything is stored.
   *
   * @throws SluiceError DataFolderUnusable (rejects) when that cannot be written
   */
  restoreInto(streams: StreamNamespaces, home: Namespace): Promise<void>
  /** Flushes the remaining changes, and releases the folder. */
  close(): Promise<void>
}

/** The folder of the environment, relative to the folder of the lab's data. */
const folderName = 'lab'
const tokenKeyName = Buffer.from('tokenKey')
const homeName = Buffer.from('home')

type Table = Database<Buffer, Buffer>

interface Tables {
  readonly environment: RootDatabase<Buffer, Buffer>
  readonly streams: Table
  readonly records: Table
  readonly state: Table
}

/**
 * @throws SluiceError (rejects) DataFolderDamaged, DataFolderLocked, DataFolderOfAnother,
 *   DataFolderUnusable, DataFolderVersionUnsupported
 */
export async function openLabDisk(options: {
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
}): Promise<LabDisk> {
  const folder = await openDataFolder(options.directory, 'lab-streams')
  const tables = await openTables(path.join(folder.directory, folderName), {
    wasMade: folder.hasMade(folderName),
    wayOut: {
      damaged: 'set SLUICE_LAB_DATA to another folder to begin without streams',
      lost: 'put it back, or set SLUICE_LAB_DATA to another folder to begin without streams',
    },
  })
  await folder.noteMade(folderName)
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
    async restoreInto(streams, home) {
      const before = homeIn(tables)
      restore(tables, contents, streams)
      if (before && before.accountId === home.accountId && before.region === home.region) return
      if (before) tellMoved(options.logger, home, streams.move(before, home))
      try {
        // The streams first: until they are there, the next start moves them again.
        await flusher.durable()
        await committed(tables.state.put(homeName, Buffer.from(JSON.stringify(home))))
      } catch (thrown) {
        throw unusable(folder.directory, `it cannot be written: ${messageOf(thrown)}`, thrown)
      }
    },
    async close() {
      await flusher.close()
      await tables.environment.close()
      folder.close()
    },
  }
}

async function openTables(directory: string, check: EnvironmentCheck): Promise<Tables> {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  try {
    const environment = await openEnvironment<Buffer, Buffer>(directory, binary, check)
    const table = (name: string): Table => environment.openDB({ name, ...binary })
    return {
      environment,
      streams: table('streams'),
      records: table('records'),
      state: table('state'),
    }
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
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

/** Where the lab was at its last start; undefined for a new folder. */
function homeIn({ state, streams }: Tables): Namespace | undefined {
  const stored = state.get(homeName)
  // This program wrote it from a Namespace.
  if (stored) return JSON.parse(stored.toString()) as Namespace
  // An earlier release did not write it, and had streams of one namespace unless that was changed.
  for (const { value } of streams.getRange({ reverse: true, limit: 1 })) {
    return parseStreamArn((JSON.parse(value.toString()) as StreamRow).arn)
  }
  return undefined
}

function tellMoved(
  logger: Logger,
  { accountId, region }: Namespace,
  { movedCount, staying }: ReturnType<StreamNamespaces['move']>,
): void {
  if (movedCount > 0) {
    const message = `the streams of the lab are now those of account ${accountId} in ${region}`
    logger.info({ streams: movedCount }, message)
  }
  for (const streamArn of staying) {
    logger.warn({ streamArn }, 'a stream keeps its account and region: the lab has one of its name')
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

function restore(tables: Tables, contents: DiskContents, streams: StreamNamespaces): void {
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
