/**
 * Checkpoints on disk: one LMDB environment in a folder of its own.
 *
 *     [application, stream ARN, stream created (ms), shard id]  ->  JSON of the checkpoint
 *
 * Invariants:
 * - A `save` is one transaction, flushed when it resolves.
 * - Loading removes the checkpoints of an earlier stream of the same ARN, which was deleted.
 * One process at a time may run an application; several applications may share a folder.
 */
import type { RootDatabase } from 'lmdb'
import { SluiceError, messageOf } from '../base/errors.ts'
import { committed, openEnvironment } from '../storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../storage/lmdb-environment.ts'
import type { Checkpoint, CheckpointScope } from './checkpoints.ts'
import type { LmdbCheckpoints } from './lmdb-checkpoints.ts'

/** LMDB takes keys of at most 1978 bytes. */
const applicationBytesMax = 512

/**
 * Opens the checkpoints in a folder, which is created when it is missing.
 *
 * @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects)
 */
export async function openCheckpointFile(
  folder: string,
  check: EnvironmentCheck,
): Promise<LmdbCheckpoints> {
  const database = await openDatabase(folder, check)
  const write = (change: () => void) => committed(database.batch(change))

  return {
    async load(scope: CheckpointScope) {
      const [application, streamArn, createdMs] = keyOf(scope, '')
      const outdated: CheckpointKey[] = []
      const found = new Map<string, Checkpoint>()
      const start = [application, streamArn]
      // LMDB sorts texts behind numbers, so the empty text ends the range of creation times.
      for (const { key, value } of database.getRange({ start, end: [...start, ''] })) {
        if (key[2] === createdMs) found.set(key[3], value)
        else outdated.push(key)
      }
      if (outdated.length > 0) {
        await write(() => outdated.forEach((key) => void database.remove(key)))
      }
      return found
    },
    async save(scope: CheckpointScope, checkpoints: ReadonlyMap<string, Checkpoint | undefined>) {
      await write(() => {
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
      await write(() => keys.forEach((key) => void database.remove(key)))
    },
    close: () => database.close(),
  }
}

type CheckpointKey = [application: string, streamArn: string, createdMs: number, shardId: string]
type Table = RootDatabase<Checkpoint, CheckpointKey>

async function openDatabase(folder: string, check: EnvironmentCheck): Promise<Table> {
  try {
    return await openEnvironment<Checkpoint, CheckpointKey>(folder, { encoding: 'json' }, check)
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw new SluiceError(
      'DataFolderUnusable',
      `the checkpoints in ${folder} cannot be opened: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}

function keyOf(
  { application, streamArn, streamCreatedMs }: CheckpointScope,
  shardId: string,
): CheckpointKey {
  if (Buffer.byteLength(application) > applicationBytesMax || application.includes('\0')) {
    throw new SluiceError(
      'InvalidRequestException',
      `the name of an application has at most ${applicationBytesMax} bytes, without U+0000`,
    )
  }
  return [application, streamArn, streamCreatedMs, shardId]
}
