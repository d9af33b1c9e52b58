import { chmod, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { open } from 'lmdb'
import type { Key, RootDatabase, RootDatabaseOptions } from 'lmdb'
import { flushEntryOf, flushFolder } from './durable-file.ts'
import { ifAllowed, ifPresent } from './file-reads.ts'
import { checkLmdbFile, damaged } from './lmdb-file.ts'
import type { LmdbVisitor } from './lmdb-file.ts'

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

export const dataFileName = 'data.mdb'
const lockFileName = 'lock.mdb'

/** How the file of an environment is looked at before it is opened. */
export interface EnvironmentCheck {
  /**
   * Whether it was made before: its file must then be there. Undefined where nothing says so: its
   * lock file, which stays, then tells.
   */
  readonly wasMade?: boolean | undefined
  /** A file that is lost begins anew. */
  readonly beginsAnew?: boolean | undefined
  /** Called with each row of the file. The row is good until it returns. */
  readonly onRow?: LmdbVisitor['onRow'] | undefined
  /** What can be done about a file that is damaged, and about one that is lost, for the error. */
  readonly wayOut: { readonly damaged: string; readonly lost: string }
}

/**
 * Opens an LMDB environment in a folder of its own, which is made when it is not there. Its files
 * have mode 0600, whatever the mode of the folder is, also those that an older release made; the
 * mode of files of another owner stays. When the promise resolves, the names of new files are on
 * disk; LMDB flushes what it writes itself.
 *
 * The file is read whole before LMDB maps it: LMDB would follow a damaged page anywhere.
 *
 * @throws SluiceError DataFolderDamaged, or what the system or LMDB throws (rejects)
 */
export async function openEnvironment<Value, EnvironmentKey extends Key>(
  folder: string,
  options: RootDatabaseOptions,
  check: EnvironmentCheck,
): Promise<RootDatabase<Value, EnvironmentKey>> {
  await checkEnvironment(folder, check)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const environment = open<Value, EnvironmentKey>(folder, { ...options, ...settings })
  for (const name of [dataFileName, lockFileName]) {
    await ifPresent(ifAllowed(chmod(path.join(folder, name), fileMode)))
  }
  await flushFolder(folder)
  await flushEntryOf(folder)
  return environment
}

async function checkEnvironment(folder: string, check: EnvironmentCheck): Promise<void> {
  const { onRow, beginsAnew = false, wayOut } = check
  const file = path.join(folder, dataFileName)
  const bytes = (await ifPresent(stat(file)))?.size
  if (bytes !== undefined && bytes > 0) {
    await checkLmdbFile(file, { onRow, wayOut: wayOut.damaged })
    return
  }
  const lockFile = path.join(folder, lockFileName)
  const wasMade = check.wasMade ?? (await ifPresent(stat(lockFile))) !== undefined
  if (!wasMade || beginsAnew) return
  throw damaged(`${file} is ${bytes === undefined ? 'lost' : 'empty'}`, wayOut.lost)
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
