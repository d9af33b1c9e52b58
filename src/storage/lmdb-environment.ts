import { chmod, mkdir, open as openFile, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
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
  /** Nothing is flushed: what is in it is somewhere else as well. */
  readonly isCache?: boolean | undefined
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
  const environment = open<Value, EnvironmentKey>(folder, {
    ...options,
    ...settings,
    noSync: check.isCache === true,
  })
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

/**
 * Room at the end of the file of an LMDB environment. LMDB's package can overrun a buffer while it
 * words the error of a write that fails, which ends the process. So this writes the file ahead of
 * it: a full disk fails here, and LMDB writes only where the file has blocks already.
 */
interface FileReserve {
  /**
   * Makes room for the rows of the next transaction. It is called before each of them, and mostly
   * compares two numbers.
   *
   * @param bytes keys and values that the transaction puts
   * @returns undefined when there is room already
   * @throws what the system throws (rejects): ENOSPC, EDQUOT or EFBIG
   */
  ensure(bytes: number): Promise<void> | undefined
  close(): Promise<void>
}

interface FileUse {
  readonly pageSize: number
  readonly lastPageNumber: number
}

/** Pages that a transaction copies beside its rows, and those that removals need on a full disk. */
const marginBytes = 512 * 1_024
/** A file is extended by so much at a time. */
const stepBytes = 1_024 * 1_024

/**
 * @param file of the environment, which is open
 * @param useOf what the environment uses of its file; not asked while a transaction runs
 */
export async function openFileReserve(file: string, useOf: () => FileUse): Promise<FileReserve> {
  // Windows: the library extends the file itself, and words no such error.
  const handle = process.platform === 'win32' ? undefined : await ifPresent(openFile(file, 'r+'))
  let size = (await handle?.stat())?.size ?? 0
  /** At least so many bytes of the file are behind what LMDB uses of it. */
  let left = 0

  function usedBytes(): number {
    const { pageSize, lastPageNumber } = useOf()
    return (lastPageNumber + 1) * pageSize
  }

  async function extend(opened: FileHandle, needed: number): Promise<void> {
    const used = usedBytes()
    // LMDB extends it too, for transactions that only remove.
    size = Math.max(size, (await opened.stat()).size)
    const wanted = size >= used + needed ? size : used + needed + stepBytes
    try {
      while (size < wanted) {
        const length = Math.min(zeros.length, wanted - size)
        size += (await opened.write(zeros, 0, length, size)).bytesWritten
      }
    } catch (thrown) {
      if (size < used + needed) throw thrown
    }
    left = size - used
  }

  return {
    ensure(bytes) {
      if (handle === undefined) return undefined
      // A value takes whole pages, and its neighbours are copied with it.
      const needed = 2 * bytes + marginBytes
      const taken = 2 * bytes + copiedBytes
      if (left < needed) left = size - usedBytes()
      if (left < needed) return extend(handle, needed).then(() => void (left -= taken))
      left -= taken
      return undefined
    },
    async close() {
      await handle?.close()
    },
  }
}

/** What a transaction takes at least: the pages from the roots of its trees to its rows. */
const copiedBytes = 64 * 1_024
const zeros = Buffer.alloc(stepBytes)
