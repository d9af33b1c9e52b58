/**
 * The data folder: one process at a time, one format, one owner.
 *
 *     lock         locked by the process that uses the folder; its text is that process's id
 *     format.json  the format, and whose the folder is, see folder-format.ts
 *     account.json the AWS account that STS named last, see identity/account.ts
 *     outbox/      the outbox, see outbox-store.ts
 *
 * The lock belongs to the open file, not to the text in it: the kernel lets go of it when the
 * process ends, however it ends. So a lock is never stale, and a killed process needs no cleaning.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { SluiceError, messageOf } from '../base/errors.ts'
import { checkFolderVersion, claimFolder, noteEnvironment, unusable } from './folder-format.ts'
import type { ClaimedFormat, FolderOwner } from './folder-format.ts'

const lockName = 'lock'

export interface DataFolder {
  /** Absolute path. */
  readonly directory: string
  /** An older release wrote the folder, which did not say whose it is; from now on it does. */
  readonly wasUnmarked: boolean
  /**
   * Whether an environment of LMDB was made here, which must then be there.
   *
   * @param name its folder, relative to the data folder
   */
  hasMade(name: string): boolean
  /** Notes that an environment was made. Durable when it resolves. */
  noteMade(name: string): Promise<void>
  /** Lets go of the lock. The folder stays. */
  close(): void
}

/**
 * Makes the folder when it is not there, locks it and checks its format and its owner.
 *
 * @throws SluiceError (rejects) DataFolderLocked, DataFolderOfAnother, DataFolderUnusable,
 *   DataFolderVersionUnsupported; each message is one line that names the folder
 */
export async function openDataFolder(directory: string, owner: FolderOwner): Promise<DataFolder> {
  const folder = path.resolve(directory)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unusable(folder, `it cannot be made: ${messageOf(error)}`, error)
  }
  const fileDescriptor = lock(folder)
  let format: ClaimedFormat
  try {
    format = await claimFolder(folder, owner)
  } catch (error) {
    closeSync(fileDescriptor)
    throw error
  }
  let held = true
  const environments = new Set(format.environments)
  return {
    directory: folder,
    wasUnmarked: format.wasUnmarked,
    hasMade: (name) => environments.has(name),
    async noteMade(name) {
      if (environments.has(name)) return
      await noteEnvironment(folder, owner, [...environments, name])
      environments.add(name)
    },
    close() {
      if (held) closeSync(fileDescriptor)
      held = false
    },
  }
}

/**
 * Locks a data folder of any owner, which must be there, and changes nothing else.
 *
 * @returns a function that lets go of the lock
 * @throws SluiceError (rejects) DataFolderLocked, DataFolderUnusable, DataFolderVersionUnsupported
 */
export async function lockDataFolder(directory: string): Promise<() => void> {
  await checkFolderVersion(directory)
  const fileDescriptor = lock(directory)
  return () => closeSync(fileDescriptor)
}

/** The descriptor that holds the lock: it must stay open, which a number does by itself. */
function lock(folder: string): number {
  const file = path.join(folder, lockName)
  let fileDescriptor: number | undefined
  try {
    // Append mode: made when absent, and the holder's text stays until the lock is ours.
    fileDescriptor = openSync(file, 'a', 0o600)
    if (tryLock(fileDescriptor)) {
      ftruncateSync(fileDescriptor)
      writeSync(fileDescriptor, `${process.pid}\n`)
      return fileDescriptor
    }
  } catch (error) {
    if (fileDescriptor !== undefined) closeSync(fileDescriptor)
    throw unusable(folder, `it cannot be locked: ${messageOf(error)}`, error)
  }
  closeSync(fileDescriptor)
  const holder = holderOf(file)
  const user = holder === undefined ? 'another process' : `another process (pid ${holder})`
  throw new SluiceError(
    'DataFolderLocked',
    holder === String(process.pid)
      ? // Two variables name it, one of them perhaps by a link.
        `The data folder ${folder} is in use by this process itself: set SLUICE_DATA_DIR and ` +
          'SLUICE_LAB_DATA to two folders'
      : `The data folder ${folder} is in use by ${user}: stop it, or choose another folder`,
  )
}

/** The process id in the lock file, if it can be read: Windows does not let others read it. */
function holderOf(file: string): string | undefined {
  try {
    return /^\d+/.exec(readFileSync(file, 'utf8'))?.[0]
  } catch {
    return undefined
  }
}
