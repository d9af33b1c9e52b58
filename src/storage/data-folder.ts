/**
 * The data folder: one process at a time, one format.
 *
 *     lock         locked by the process that uses the folder; its text is that process's id
 *     format.json  {"version": 1}
 *     account.json the AWS account that STS named last, see identity/account.ts
 *     outbox/      the outbox, see outbox-store.ts
 *
 * The lock belongs to the open file, not to the text in it: the kernel lets go of it when the
 * process ends, however it ends. So a lock is never stale, and a killed process needs no cleaning.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { credentialsFileName } from '../config/config.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { flushFolder } from './flush-folder.ts'

/** Raised when what stands in the folder changes so that an older release would misread it. */
export const formatVersion = 1

const lockName = 'lock'
const formatName = 'format.json'
const formatDraftName = 'format.json.new'
/**
 * What a folder may hold that is new to us: our own beginnings, access keys that were made before
 * the first start, and what file systems put there.
 */
const namesOfAnEmptyFolder = new Set([lockName, formatDraftName, credentialsFileName, 'lost+found'])

export interface DataFolder {
  /** Absolute path. */
  readonly directory: string
  /** Lets go of the lock. The folder stays. */
  close(): void
}

/**
 * Makes the folder when it is not there, locks it and checks its format.
 *
 * @throws SluiceError DataFolderLocked, DataFolderUnusable, DataFolderVersionUnsupported; each
 *   message is one line that names the folder
 */
export async function openDataFolder(directory: string): Promise<DataFolder> {
  const folder = path.resolve(directory)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unusable(folder, `it cannot be made: ${messageOf(error)}`, error)
  }
  const fileDescriptor = lock(folder)
  try {
    await checkFormat(folder)
  } catch (error) {
    closeSync(fileDescriptor)
    throw error
  }
  let held = true
  return Object.freeze({
    directory: folder,
    close() {
      if (held) closeSync(fileDescriptor)
      held = false
    },
  })
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
    `The data folder ${folder} is in use by ${user}: stop it, or choose another folder`,
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

async function checkFormat(folder: string): Promise<void> {
  const text = await readFormat(folder)
  if (text === undefined) return writeFormat(folder)
  const version = versionIn(text)
  if (version === formatVersion) return
  if (version !== undefined && version > formatVersion) {
    throw new SluiceError(
      'DataFolderVersionUnsupported',
      `The data folder ${folder} was written by a newer release (format ${version}; this one ` +
        `knows ${formatVersion}): use that release, or choose another folder`,
    )
  }
  throw unusable(folder, `${formatName} does not say which format it has`)
}

/** The text of the format file; undefined in a folder that holds nothing yet. */
async function readFormat(folder: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(folder, formatName), 'utf8')
  } catch (error) {
    if (!isAbsence(error)) {
      throw unusable(folder, `${formatName} cannot be read: ${messageOf(error)}`, error)
    }
  }
  const names = await readdir(folder)
  const strange = names.find((name) => !namesOfAnEmptyFolder.has(name) && !name.startsWith('.'))
  if (strange === undefined) return undefined
  throw unusable(folder, `it holds ${strange} but no ${formatName}: it is not a data folder`)
}

/** All or nothing: written beside, flushed, renamed, and the folder flushed. */
async function writeFormat(folder: string): Promise<void> {
  const draft = path.join(folder, formatDraftName)
  try {
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify({ version: formatVersion })}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path.join(folder, formatName))
    flushFolder(folder)
  } catch (error) {
    throw unusable(folder, `${formatName} cannot be written: ${messageOf(error)}`, error)
  }
}

function versionIn(text: string): number | undefined {
  try {
    const format: unknown = JSON.parse(text)
    if (typeof format !== 'object' || format === null || !('version' in format)) return undefined
    const { version } = format
    return typeof version === 'number' && Number.isInteger(version) ? version : undefined
  } catch {
    return undefined
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function unusable(folder: string, reason: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'DataFolderUnusable',
    `The data folder ${folder} is not usable: ${reason}`,
    {
      cause,
    },
  )
}
