import { constants } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { systemClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { isAbsent } from './file-reads.ts'
import { invalidFile, targetOf } from './secret-file.ts'

/**
 * One writer at a time for a file that is read, changed and written again: of all processes of this
 * machine, and of all calls within one.
 *
 *   <folder>/.<file>.lock   mode 600, there while somebody writes
 *
 * Invariants:
 * - The lock belongs to the open file: the kernel lets go of it when its process ends, however it
 *   ends, so that it is never stale.
 * - Only its holder removes the file, and a process that gets a lock looks whether the file is
 *   still the one under that name: two never hold the lock of two files of one name.
 * - The file that is changed cannot be the lock itself, because it is replaced by renaming.
 */
export async function withFileLock<Result>(
  file: string,
  change: () => Promise<Result>,
): Promise<Result> {
  const target = await targetOf(file)
  const lockFile = path.join(path.dirname(target), `.${path.basename(target)}.lock`)
  const handle = await acquire(file, lockFile)
  try {
    return await change()
  } finally {
    // Windows does not let go of the name of an open file: there the file stays, and does no harm.
    await rm(lockFile, { force: true }).catch(() => undefined)
    await handle.close()
  }
}

/** Of one wait; what holds the lock makes a few files at most. */
const waitMsMax = 30_000
const pollMs = 20

/** @throws SluiceError IdentityFileInvalid: the lock is held for too long, or cannot be made */
async function acquire(file: string, lockFile: string): Promise<FileHandle> {
  const endsMs = systemClock.monotonicMs() + waitMsMax
  for (;;) {
    const handle = await tryAcquire(file, lockFile)
    if (handle) return handle
    if (systemClock.monotonicMs() >= endsMs) {
      throw invalidFile(file, `another process has been changing it for ${waitMsMax / 1_000} s`)
    }
    await systemClock.sleep(pollMs)
  }
}

/** @returns undefined while another holds the lock */
async function tryAcquire(file: string, lockFile: string): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined
  try {
    await mkdir(path.dirname(lockFile), { recursive: true, mode: 0o700 })
    handle = await open(lockFile, constants.O_RDWR | constants.O_CREAT, 0o600)
    if (tryLock(handle.fd) && (await isStillThere(handle, lockFile))) return handle
    await handle.close()
    return undefined
  } catch (thrown) {
    await handle?.close()
    throw invalidFile(file, `cannot be locked: ${messageOf(thrown)}`, thrown)
  }
}

/** The holder before may have removed the file between our opening and our locking it. */
async function isStillThere(handle: FileHandle, lockFile: string): Promise<boolean> {
  try {
    const [own, named] = await Promise.all([handle.stat(), stat(lockFile)])
    return own.dev === named.dev && own.ino === named.ino
  } catch (thrown) {
    if (isAbsent(thrown)) return false
    throw thrown
  }
}
