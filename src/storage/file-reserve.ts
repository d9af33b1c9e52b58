import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ifPresent } from './file-reads.ts'

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
  const handle = process.platform === 'win32' ? undefined : await ifPresent(open(file, 'r+'))
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
