import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'

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
export function readSecretFile(file: string): Promise<SecretFile | undefined> {
  return readWhole(file, modeBitsOfOthers)
}

/** The same for a file that anyone may read, such as a certificate. */
export function readPublicFile(file: string): Promise<SecretFile | undefined> {
  return readWhole(file, 0)
}

async function readWhole(file: string, modeRefused: number): Promise<SecretFile | undefined> {
  const handle = await openIfPresent(file)
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
    const target = await realpath(file).catch(() => path.resolve(file))
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
  const [before, now] = await Promise.all([lstat(target).catch(() => undefined), lstat(temporary)])
  if (!before || (before.uid === now.uid && before.gid === now.gid)) return
  await chown(temporary, before.uid, before.gid)
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
async function openIfPresent(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined
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
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

export function invalidFile(file: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('IdentityFileInvalid', `${file}: ${problem}`, { cause })
}
