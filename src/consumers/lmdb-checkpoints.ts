/**
 * Checkpoints on disk: one LMDB environment in a folder of its own.
 *
 *     [application, stream ARN, stream created (ms), shard id]  ->  JSON of the checkpoint
 *
 * Invariants:
 * - A `save` is one transaction, flushed when it resolves.
 * - Of one application and stream name only the checkpoints of the stream that is there now are
 *   kept: to load them removes those of a stream that was deleted and made again.
 * One process at a time works for an application; several applications may share a folder.
 */
import { mkdir } from 'node:fs/promises'
import { open } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Checkpoint, CheckpointScope, CheckpointStore } from './checkpoints.ts'

export interface LmdbCheckpoints extends CheckpointStore {
  /** Removes all checkpoints of an application. */
  forget(application: string): Promise<void>
  close(): Promise<void>
}

/** LMDB takes keys of at most 1978 bytes. */
const applicationBytesMax = 512

/**
 * Opens the checkpoints in a folder, which is made when it is not there.
 *
 * @throws SluiceError DataFolderUnusable (rejects)
 */
export async function openLmdbCheckpoints(folder: string): Promise<LmdbCheckpoints> {
  const database = await openDatabase(folder)

  return {
    async load(scope: CheckpointScope) {
      const [application, streamArn, createdMs] = keyOf(scope, '')
      const outdated: CheckpointKey[] = []
      const found = new Map<string, Checkpoint>()
      const start = [application, streamArn]
      // Texts sort behind numbers.
      for (const { key, value } of database.getRange({ start, end: [...start, ''] })) {
        if (key[2] === createdMs) found.set(key[3], value)
        else outdated.push(key)
      }
      if (outdated.length > 0) {
        await write(database, () => outdated.forEach((key) => void database.remove(key)))
      }
      return found
    },
    async save(scope: CheckpointScope, checkpoints: ReadonlyMap<string, Checkpoint | undefined>) {
      await write(database, () => {
        for (const [shardId, checkpoint] of checkpoints) {
          const key = keyOf(scope, shardId)
          if (checkpoint) void database.put(key, checkpoint)
          else void database.remove(key)
        }
      })
    },
    async forget(application: string) {
      const keys: CheckpointKey[] = []
      for (const key of database.getKeys({ start: [application] })) {
        if (key[0] !== application) break
        keys.push(key)
      }
      await write(database, () => keys.forEach((key) => void database.remove(key)))
    },
    close: () => database.close(),
  }
}

type CheckpointKey = [application: string, streamArn: string, createdMs: number, shardId: string]
type Table = RootDatabase<Checkpoint, CheckpointKey>

async function openDatabase(folder: string): Promise<Table> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return open<Checkpoint, CheckpointKey>(folder, {
      encoding: 'json',
      // With it on, a commit that fails to be flushed stays visible; see the outbox.
      overlappingSync: false,
      eventTurnBatching: false,
    })
  } catch (thrown) {
    throw new SluiceError(
      'DataFolderUnusable',
      `the checkpoints in ${folder} cannot be opened: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}

/** One transaction; resolves when it is on disk. */
async function write(database: Table, change: () => void): Promise<void> {
  try {
    await database.batch(change)
  } catch (thrown) {
    const cause =
      thrown instanceof Error && 'commitError' in thrown ? thrown.commitError : undefined
    // It rejects with the true cause, and must be heard.
    await cause
    throw thrown
  }
}

function keyOf(
  { application, streamArn, streamCreatedMs }: CheckpointScope,
  shardId: string,
): CheckpointKey {
  if (Buffer.byteLength(application) > applicationBytesMax || application.includes('\0')) {
    throw new SluiceError(
      'InvalidRequestException',
      `the name of an application has at most ${applicationBytesMax} bytes, and no U+0000`,
    )
  }
  return [application, streamArn, streamCreatedMs, shardId]
}
