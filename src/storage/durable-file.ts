import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { chmod, chown, link, lstat, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { ifAllowed, ifPresent, isAbsent } from './file-reads.ts'

interface DurableFileOptions {
  /** The mode of the file, whatever the umask is. Absent: 0666 less the umask. */
  readonly mode?: number | undefined
  /** The new file gets the owner and the group of the file that it replaces. */
  readonly keepsOwner?: boolean | undefined
}

/**
 * Replaces a file in one step: a reader and a crash find the old text or the new one, whole. When
 * the promise resolves, the text and the entry of its folder are on disk.
 *
 * The text is written to a new file beside it, named `.<file>.<random>.tmp`, so that two processes
 * that write one file never share a draft. The folder must be there.
 *
 * @throws what the system throws (rejects); the old file then stands
 */
export async function writeDurably(
  file: string,
  text: string,
  { mode, keepsOwner = false }: DurableFileOptions = {},
): Promise<void> {
  const folder = path.dirname(file)
  const draft = draftOf(file)
  try {
    await writeNew(draft, text, mode)
    if (keepsOwner) await copyOwner(file, draft)
    await rename(draft, file)
  } catch (thrown) {
    // The draft is of no use, and the first error is the one to tell.
    await rm(draft, { force: true }).catch(() => undefined)
    throw thrown
  }
  await flushFolder(folder)
}

/**
 * The same, unless the file changed meanwhile: it is replaced only while it holds what the caller
 * has read. Nothing else in this process runs between the look and the replacement, and other
 * processes have some microseconds. A file that is made newly replaces no other one at all.
 *
 * @param expected what the file holds; undefined when it is not there
 * @returns false when the file holds something else, and stands as it was
 * @throws what the system throws (rejects)
 */
export async function replaceDurably(
  file: string,
  text: string,
  expected: Uint8Array | undefined,
): Promise<boolean> {
  const draft = draftOf(file)
  try {
    await writeNew(draft, text, undefined)
    if (expected === undefined) await link(draft, file)
    else if (!holds(file, expected)) return false
    else renameSync(draft, file)
  } catch (thrown) {
    if (expected === undefined && isPresent(thrown)) return false
    throw thrown
  } finally {
    // Gone already where it was renamed; the first error is the one to tell.
    await rm(draft, { force: true }).catch(() => undefined)
  }
  await flushFolder(path.dirname(file))
  return true
}

/**
 * Removes a file for good, unless it changed meanwhile, as `replaceDurably` does.
 *
 * @returns false when the file holds something else, and stands as it was
 */
export async function removeUnchanged(file: string, expected: Uint8Array): Promise<boolean> {
  if (!holds(file, expected)) return false
  rmSync(file)
  await flushFolder(path.dirname(file))
  return true
}

/** Synchronous, so that nothing happens between the look and what follows from it. */
function holds(file: string, expected: Uint8Array): boolean {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = fstatSync(descriptor)
    if (!stats.isFile() || stats.size !== expected.length) return false
    return readFileSync(descriptor).equals(expected)
  } catch (thrown) {
    if (isAbsent(thrown)) return false
    throw thrown
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function isPresent(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST'
}

/** Two processes that write one file never share a draft. */
function draftOf(file: string): string {
  const name = `.${path.basename(file)}.${randomBytes(6).toString('hex')}.tmp`
  return path.join(path.dirname(file), name)
}

/** Removes files for good. A file that is not there counts as removed. */
export async function removeDurably(...files: readonly string[]): Promise<void> {
  for (const file of files) await rm(file, { force: true })
  for (const folder of new Set(files.map((file) => path.dirname(file)))) await flushFolder(folder)
}

/** Makes the names in a folder durable: those of files that were made, renamed or removed in it. */
export async function flushFolder(folder: string): Promise<void> {
  // Windows opens no folder as a file, and needs no flush for a rename.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Makes the entry of a folder durable. The folder above it may belong to somebody else, who does
 * not let it be read: the file system alone then decides when the entry is on disk.
 */
export async function flushEntryOf(folder: string): Promise<void> {
  await ifAllowed(flushFolder(path.dirname(folder)))
}

async function writeNew(file: string, text: string, mode: number | undefined): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  // The mode of `open` has been through the umask of the process.
  if (mode !== undefined) await chmod(file, mode)
}

async function copyOwner(from: string, to: string): Promise<void> {
  const [before, now] = await Promise.all([ifPresent(lstat(from)), lstat(to)])
  if (!before || (before.uid === now.uid && before.gid === now.gid)) return
  await chown(to, before.uid, before.gid)
}
