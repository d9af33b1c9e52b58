import { chmod, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { open } from 'lmdb'
import type { Key, RootDatabase, RootDatabaseOptions } from 'lmdb'
import { flushEntryOf, flushFolder } from './durable-file.ts'
import { ifAllowed, ifPresent } from './file-reads.ts'

/** The mode of what LMDB keeps: records and checkpoints are for the owner alone. */
const fileMode = 0o600

const settings = {
  // With it on, a flush that failed leaves its transaction visible, and `flushed` never settles.
  overlappingSync: false,
  // Writes are grouped by `batch` alone, which starts at once: no timer in between.
  eventTurnBatching: false,
  // Not in the types of lmdb 3.5, whose default is 0664; src/env.cpp there reads it.
  permissionsMode: fileMode,
}

/**
 * Opens an LMDB environment in a folder of its own, which is made when it is not there. Its files
 * have mode 0600, whatever the mode of the folder is, also those that an older release made; the
 * mode of files of another owner stays. When the promise resolves, the names of new files are on
 * disk; LMDB flushes what it writes itself.
 *
 * @throws what the system or LMDB throws (rejects)
 */
export async function openEnvironment<Value, EnvironmentKey extends Key>(
  folder: string,
  options: RootDatabaseOptions,
): Promise<RootDatabase<Value, EnvironmentKey>> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const environment = open<Value, EnvironmentKey>(folder, { ...options, ...settings })
  for (const name of ['data.mdb', 'lock.mdb']) {
    await ifPresent(ifAllowed(chmod(path.join(folder, name), fileMode)))
  }
  await flushFolder(folder)
  await flushEntryOf(folder)
  return environment
}

/**
 * Waits until a transaction is on disk.
 *
 * @throws the true cause where LMDB knows it (rejects): its general error carries a promise,
 *   `commitError`, that rejects with the cause and must be awaited in any case
 */
export async function committed(transaction: Promise<unknown>): Promise<void> {
  try {
    await transaction
  } catch (thrown) {
    if (thrown instanceof Error && 'commitError' in thrown) await thrown.commitError
    throw thrown
  }
}
