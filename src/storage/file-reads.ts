import { lstat, open, readFile, readdir, stat } from 'node:fs/promises'

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

/** @returns the bytes of a file, or undefined when there is no such file */
export function readIfPresent(file: string): Promise<Buffer | undefined> {
  return ifPresent(readFile(file))
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
