import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { isAbsence, nodeFileReads } from './file-reads.ts'
import type { FileReads } from './file-reads.ts'

/**
 * Files that hold secrets.
 *
 * Invariants:
 * - One that its group or others may read, write or run is refused, and written with mode 600.
 * - A file is replaced by rename: a reader and a crash find the old text or the new one, whole. When
 *   a write has resolved, text and folder entry are on disk.
 * - What is replaced keeps its owner, so that an administrator does not take it from the service.
 */
export interface SecretFile {
  readonly text: string
  /** Changes whenever the file does: content, place or mode. */
  readonly version: string
}

/** What is larger is not read into memory. */
export const secretFileBytesMax = 16_777_216
const modeOfSecrets = 0o600
const modeBitsOfOthers = 0o077

/**
 * @returns undefined when there is no such file
 * @throws SluiceError IdentityFileInvalid: open to others, no plain file, too large, unreadable
 */
export function readSecretFile(
  file: string,
  reads: FileReads = nodeFileReads,
): Promise<SecretFile | undefined> {
  return readWhole(file, modeBitsOfOthers, reads)
}

/** The same for a file that anyone may read, such as a certificate. */
export function readPublicFile(
  file: string,
  reads: FileReads = nodeFileReads,
): Promise<SecretFile | undefined> {
  return readWhole(file, 0, reads)
}

/**
 * The version of a file without opening it: asked once a second, it needs no descriptor, so that a
 * process that has none left still knows that nothing has changed.
 *
 * @returns undefined when there is no such file
 * @throws SluiceError IdentityFileInvalid: the system does not say
 */
export async function versionOfFile(
  file: string,
  reads: FileReads = nodeFileReads,
): Promise<string | undefined> {
  try {
    return versionIn(await reads.stat(file, { bigint: true }))
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

async function readWhole(
  file: string,
  modeRefused: number,
  reads: FileReads,
): Promise<SecretFile | undefined> {
  const handle = await openIfPresent(file, reads)
  if (!handle) return undefined
  try {
    const version = await versionOf(handle, file, modeRefused)
    const bytes = await handle.readFile()
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), version }
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw invalidFile(file, messageOf(thrown), thrown)
  } finally {
    await handle.close()
  }
}

/**
 * Writes a secret, mode 600, in one step. Folders that are not there are made for the owner alone.
 *
 * @throws SluiceError IdentityFileInvalid
 */
export async function writeSecretFile(file: string, text: string): Promise<void> {
  await writeFileDurably(file, text, modeOfSecrets)
}

/** The same for a file that anyone may read, such as a certificate. */
export async function writePublicFile(file: string, text: string): Promise<void> {
  await writeFileDurably(file, text, 0o644)
}

async function writeFileDurably(file: string, text: string, mode: number): Promise<void> {
  try {
    const target = await targetOf(file)
    const folder = path.dirname(target)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const name = `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`
    const temporary = path.join(folder, name)
    try {
      await writeNew(temporary, text, mode)
      await keepOwner(target, temporary)
      await rename(temporary, target)
    } finally {
      await rm(temporary, { force: true })
    }
    await flushFolder(folder)
  } catch (thrown) {
    throw invalidFile(file, `cannot be written: ${messageOf(thrown)}`, thrown)
  }
}

/** The place of a file that may be behind a link, and need not be there. */
export async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (thrown) {
    if (isAbsence(thrown)) return path.resolve(file)
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  // The mode of `open` has been through the process's umask.
  await chmod(file, mode)
}

async function keepOwner(target: string, temporary: string): Promise<void> {
  const [before, now] = await Promise.all([lstatIfPresent(target), lstat(temporary)])
  if (!before || (before.uid === now.uid && before.gid === now.gid)) return
  await chown(temporary, before.uid, before.gid)
}

async function lstatIfPresent(file: string) {
  try {
    return await lstat(file)
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw thrown
  }
}

async function flushFolder(folder: string): Promise<void> {
  // Windows opens no folder as a file, and needs no flush for a rename.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Not blocking: a named pipe in the place of the file must not hold a thread. */
async function openIfPresent(file: string, reads: FileReads): Promise<FileHandle | undefined> {
  try {
    return await reads.open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

/** Asked of the open file: what is checked is what is read. */
async function versionOf(handle: FileHandle, file: string, modeRefused: number): Promise<string> {
  const stats = await handle.stat({ bigint: true })
  if (!stats.isFile()) throw invalidFile(file, 'is not a plain file')
  if (stats.size > secretFileBytesMax) {
    throw invalidFile(file, `has ${stats.size} bytes; at most ${secretFileBytesMax} are read`)
  }
  const mode = Number(stats.mode) & 0o777
  if (process.platform !== 'win32' && (mode & modeRefused) !== 0) {
    throw invalidFile(
      file,
      `is open to others (mode ${mode.toString(8)}): it holds secrets; run chmod 600 ${file}`,
    )
  }
  return versionIn(stats)
}

const versionIn = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(':')

export function invalidFile(file: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('IdentityFileInvalid', `${file}: ${problem}`, { cause })
}
