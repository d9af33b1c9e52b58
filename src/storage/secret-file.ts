import { constants } from 'node:fs'
import { mkdir, realpath } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { writeDurably } from './durable-file.ts'
import { ifPresent, nodeFileReads } from './file-reads.ts'
import type { FileReads } from './file-reads.ts'

/**
 * Files that hold secrets.
 *
 * Invariants:
 * - One that its group or others may read, write or run is refused, and written with mode 600. The
 *   group may read a file of root's that another user runs on, as Kubernetes mounts secrets.
 * - A file is replaced by rename: a reader and a crash find the old text or the new one, whole.
 *   When a write has resolved, text and folder entry are on disk.
 * - What is replaced keeps its owner, so that an administrator does not take it from the service.
 */
export interface SecretFile {
  readonly text: string
  /** Changes whenever the file does: content, place or mode. */
  readonly version: string
}

/** What is larger is not read into memory. */
const secretFileBytesMax = 16_777_216
const modeOfSecrets = 0o600
const modeBitsOfOthers = 0o077
const groupReads = 0o040

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
    const stats = await ifPresent(reads.stat(file, { bigint: true }))
    return stats && versionIn(stats)
  } catch (thrown) {
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
  await writeWhole(file, text, modeOfSecrets)
}

/** The same for a file that anyone may read, such as a certificate. */
export async function writePublicFile(file: string, text: string): Promise<void> {
  await writeWhole(file, text, 0o644)
}

async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  try {
    const target = await targetOf(file)
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 })
    await writeDurably(target, text, { mode, keepsOwner: true })
  } catch (thrown) {
    throw invalidFile(file, `cannot be written: ${messageOf(thrown)}`, thrown)
  }
}

/** The place of a file that may be behind a link, and need not be there. */
export async function targetOf(file: string): Promise<string> {
  try {
    return (await ifPresent(realpath(file))) ?? path.resolve(file)
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

/** Not blocking: a named pipe in the place of the file must not hold a thread. */
async function openIfPresent(file: string, reads: FileReads): Promise<FileHandle | undefined> {
  try {
    return await ifPresent(reads.open(file, constants.O_RDONLY | constants.O_NONBLOCK))
  } catch (thrown) {
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
  const isLent = stats.uid === 0n && process.getuid?.() !== 0
  const refused = isLent ? modeRefused & ~groupReads : modeRefused
  if (process.platform !== 'win32' && (mode & refused) !== 0) {
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
