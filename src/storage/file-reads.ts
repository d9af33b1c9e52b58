import { constants } from 'node:fs'
import type { Stats } from 'node:fs'
import { lstat, open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

/** The calls that read files of identity, so that tests can make each of them fail. */
export interface FileReads {
  readonly open: typeof open
  readonly stat: typeof stat
  readonly lstat: typeof lstat
  readonly readdir: typeof readdir
}

export const nodeFileReads: FileReads = Object.freeze({ open, stat, lstat, readdir })

/** Whether there is nothing under that name. Any other failure does not say whether there is. */
export function isAbsent(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
}

/** @returns what the call gives, or undefined when there is nothing under the name it asks for */
export async function ifPresent<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined
    throw thrown
  }
}

/** Whether the system does not let this user do that. */
function isForbidden(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false
  return thrown.code === 'EACCES' || thrown.code === 'EPERM'
}

/** @returns what the call gives, or undefined when this user may not do it */
export async function ifAllowed<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call
  } catch (thrown) {
    if (isForbidden(thrown)) return undefined
    throw thrown
  }
}

/** What is larger is not read into memory. */
const plainFileBytesMax = 16_777_216
const chunkBytes = Object.freeze({ min: 4_096, max: 65_536 })

interface PlainFile {
  readonly bytes: Buffer
  readonly stats: Stats
}

/**
 * Reads a regular file. The file is opened without blocking, because opening a named pipe or a
 * device would wait for its other end for ever, and keep a thread.
 *
 * @returns undefined when there is no such file
 * @throws Error (rejects): it is no regular file, or has more than `bytesMax` bytes; the message
 *   continues a sentence that begins with the name of the file; what the system throws
 */
export async function readPlainFile(
  file: string,
  bytesMax: number = plainFileBytesMax,
): Promise<PlainFile | undefined> {
  const handle = await ifPresent(open(file, constants.O_RDONLY | constants.O_NONBLOCK))
  if (!handle) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Error('is not a regular file')
    if (stats.size > bytesMax) throw tooLarge(stats.size, bytesMax)
    return { bytes: await readTo(handle, { bytesMax, size: stats.size }), stats }
  } finally {
    await handle.close()
  }
}

const tooLarge = (bytes: number, bytesMax: number) =>
  new Error(`has ${bytes} bytes; at most ${bytesMax} are read`)

/** Counts what is read: a file may grow meanwhile, and one of `/proc` says that it has 0 bytes. */
async function readTo(
  handle: FileHandle,
  { bytesMax, size }: { readonly bytesMax: number; readonly size: number },
): Promise<Buffer> {
  const atOnce = Math.min(Math.max(size + 1, chunkBytes.min), chunkBytes.max)
  const chunks: Buffer[] = []
  let length = 0
  for (;;) {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(atOnce) })
    if (bytesRead === 0) return Buffer.concat(chunks)
    length += bytesRead
    if (length > bytesMax) throw tooLarge(length, bytesMax)
    chunks.push(buffer.subarray(0, bytesRead))
  }
}

/**
 * @returns the bytes of a regular file, or undefined when there is no such file
 * @throws as `readPlainFile`
 */
export async function readIfPresent(file: string): Promise<Buffer | undefined> {
  return (await readPlainFile(file))?.bytes
}

/**
 * Whether the system refused to say what stands in a file: too many open files, no permission, a
 * fault of the disk. Of what was read and is not valid this is false.
 *
 * @param thrown what the system threw, or a SluiceError with that as its cause
 */
export function isUnreadable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return 'syscall' in thrown ? !isAbsent(thrown) : isUnreadable(thrown.cause)
}
