/**
 * The file of an LMDB environment as bytes, read without mapping it: LMDB trusts its file, and a
 * page that is not there or points anywhere ends the process by a fault of memory.
 *
 * Numbers are in the byte order of the machine: little-endian. All pages have the same size, a
 * power of two, and begin with a header of 24 bytes:
 *
 *     0  u64  page number
 *     8  u64  transaction that wrote the page
 *    16  u16  0
 *    18  u16  kind of the page, see `pageKinds`
 *    20  u16  end of the list of nodes, and
 *    22  u16  begin of the nodes; both from the end of the header. u32 in an overflow page: how
 *             many pages its value takes
 *
 * Pages 0 and 1 are the meta pages. Transaction N writes page N % 2, so that the state before it
 * stays. Their contents, from the end of the header:
 *
 *     0  u32  magic
 *     4  u32  version of the format
 *     8  u64  address, not used
 *    16  u64  size of the mapping
 *    24       tree of free pages (48 bytes); its first number is the size of a page
 *    72       main tree (48 bytes)
 *   120  u64  last page
 *   128  u64  transaction
 *
 * The source of these layouts is mdb.c of LMDB 1.0, as lmdb-js 3 builds it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'

export const headerBytes = 24
export const pageKinds = Object.freeze({ branch: 1, leaf: 2, overflow: 4, meta: 8 })

const magic = 0xbeefc0de
const versions: ReadonlySet<number> = new Set([2])
const wordValues = 0x1_0000_0000
/** The root of a tree without pages. */
export const noPage = 0xffff_ffff * wordValues + 0xffff_ffff
const pageBytesMin = 512
const pageBytesMax = 65_536
const metaPages = 2
/** LMDB's pages have the size of those of the system. */
const usualPageBytes = 4_096
/** Of a tree whose keys are numbers, which is that of the free pages. */
const integerKeys = 8
const metaBytes = 160

/** What the environment knows of one tree. */
export interface TreeHead {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  readonly root: number
}

interface Meta {
  readonly pageBytes: number
  readonly free: TreeHead
  readonly main: TreeHead
  readonly lastPage: number
  readonly transaction: number
}

/** Something in the file that cannot be as LMDB has written it. */
export interface LmdbFault {
  /** Undefined where it concerns the file as a whole. */
  readonly page: number | undefined
  readonly problem: string
}

export type OnFault = (fault: LmdbFault) => void

export interface LmdbPages extends Meta {
  readonly fileBytes: number
  /**
   * Reads pages that follow each other. The bytes of a single page are good until the next call.
   *
   * @returns undefined when the file ends before them
   */
  read(page: number, count?: number): Buffer | undefined
  close(): void
}

/** LMDB's files differ by the byte order and the word size of the machine. */
export const canReadPages = endianness() === 'LE' && !['arm', 'ia32'].includes(process.arch)

/**
 * Opens the file of an environment, which must not be empty.
 *
 * @param onFault called with what is wrong with the meta pages
 * @returns undefined when neither meta page can be read
 * @throws what the system throws
 */
export function openLmdbPages(file: string, onFault: OnFault): LmdbPages | undefined {
  const fileDescriptor = openSync(file, 'r')
  const meta = newestMeta(fileDescriptor, onFault)
  if (meta === undefined) {
    closeSync(fileDescriptor)
    return undefined
  }
  return pagesOf(fileDescriptor, meta)
}

/** Opens a file whose meta pages cannot be read: its pages belong to no tree. */
export function openPagesAsTheyAre(file: string): LmdbPages {
  const fileDescriptor = openSync(file, 'r')
  const none = { flags: 0, depth: 0, branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
  const tree = { ...none, root: noPage }
  return pagesOf(fileDescriptor, {
    pageBytes: usualPageBytes,
    free: { ...tree, flags: integerKeys },
    main: tree,
    lastPage: Math.ceil(fstatSync(fileDescriptor).size / usualPageBytes) - 1,
    transaction: Number.MAX_SAFE_INTEGER,
  })
}

function pagesOf(fileDescriptor: number, meta: Meta): LmdbPages {
  const { pageBytes } = meta
  const page = Buffer.alloc(pageBytes)
  return {
    ...meta,
    fileBytes: fstatSync(fileDescriptor).size,
    read(number, count = 1) {
      const target = count === 1 ? page : Buffer.alloc(pageBytes * count)
      return readFully(fileDescriptor, target, number * pageBytes) ? target : undefined
    },
    close: () => closeSync(fileDescriptor),
  }
}

function newestMeta(fileDescriptor: number, onFault: OnFault): Meta | undefined {
  const first = readMeta(fileDescriptor, 0, 0)
  const size = typeof first === 'string' ? undefined : first.pageBytes
  const second = readMeta(fileDescriptor, 1, size ?? sizeBySecond(fileDescriptor))
  const metas: Meta[] = []
  for (const [page, meta] of [first, second].entries()) {
    if (typeof meta === 'string') {
      onFault({ page, problem: meta })
      continue
    }
    const transaction = transactionOfRoots(fileDescriptor, meta)
    if (transaction !== meta.transaction) {
      onFault({ page, problem: `is of transaction ${meta.transaction}, not ${transaction}` })
    }
    metas.push({ ...meta, transaction })
  }
  const [one, other] = metas
  if (!one || !other) return one ?? other
  const problem = pairProblem(one, other)
  if (problem !== undefined) onFault({ page: undefined, problem })
  return one.transaction >= other.transaction ? one : other
}

/** A transaction follows the one before it, and writes the page that the other did not. */
function pairProblem(even: Meta, odd: Meta): string | undefined {
  if (even.pageBytes !== odd.pageBytes) return 'its meta pages name different sizes of a page'
  if (even.transaction === 0 && odd.transaction === 0) return undefined
  const isPair = even.transaction % 2 === 0 && odd.transaction % 2 === 1
  if (isPair && Math.abs(even.transaction - odd.transaction) === 1) return undefined
  return `its meta pages are of transactions ${even.transaction} and ${odd.transaction}`
}

/**
 * A transaction has written at least one of the roots anew. Both states are whole until the next
 * transaction has been: a number that was changed would make the older one the newest.
 */
function transactionOfRoots(fileDescriptor: number, meta: Meta): number {
  const { pageBytes, free, main } = meta
  const header = Buffer.alloc(headerBytes)
  let newest = 0
  for (const { root } of [free, main]) {
    if (root === noPage) continue
    // A root that is not there is a fault of its tree.
    if (!readFully(fileDescriptor, header, root * pageBytes)) return meta.transaction
    newest = Math.max(newest, readNumber(header, 8))
  }
  return newest
}

/** Where the first page does not say how large pages are, the second one is looked for. */
function sizeBySecond(fileDescriptor: number): number {
  for (let bytes = pageBytesMin; bytes <= pageBytesMax; bytes *= 2) {
    const meta = readMeta(fileDescriptor, 1, bytes)
    if (typeof meta !== 'string' && meta.pageBytes === bytes) return bytes
  }
  return usualPageBytes
}

function readMeta(fileDescriptor: number, page: number, offset: number): Meta | string {
  const bytes = Buffer.alloc(headerBytes + metaBytes)
  if (!readFully(fileDescriptor, bytes, offset)) return 'the file ends before this meta page'
  if (bytes.readUInt32LE(headerBytes) !== magic) return 'it is no meta page of LMDB'
  const version = bytes.readUInt32LE(headerBytes + 4) & 0xffff
  if (!versions.has(version)) return `the format of LMDB is version ${version}, which is unknown`
  if (readNumber(bytes, 0) !== page) return `it names itself page ${readNumber(bytes, 0)}`
  if (bytes.readUInt16LE(18) !== pageKinds.meta) return 'its kind is not that of a meta page'
  const pageBytes = bytes.readUInt32LE(headerBytes + 24)
  const isSize = pageBytes >= pageBytesMin && pageBytes <= pageBytesMax
  if (!isSize || (pageBytes & (pageBytes - 1)) !== 0) return `pages of ${pageBytes} bytes`
  const meta = {
    pageBytes,
    free: readTreeHead(bytes, headerBytes + 24),
    main: readTreeHead(bytes, headerBytes + 72),
    lastPage: readNumber(bytes, headerBytes + 120),
    transaction: readNumber(bytes, headerBytes + 128),
  }
  if (meta.free.flags !== integerKeys || meta.main.flags !== 0) return 'it has unknown flags'
  if (meta.lastPage < metaPages - 1) return `its last page is ${meta.lastPage}`
  return meta
}

/**
 * Reads the 48 bytes of a tree:
 *
 *     0  u32  not used   4  u16  flags   6  u16  depth
 *     8  u64  branch pages, 16  u64  leaf pages, 24  u64  overflow pages
 *    32  u64  entries
 *    40  u64  root page, or `noPage`
 */
export function readTreeHead(bytes: Buffer, offset: number): TreeHead {
  return {
    flags: bytes.readUInt16LE(offset + 4),
    depth: bytes.readUInt16LE(offset + 6),
    branchPages: readNumber(bytes, offset + 8),
    leafPages: readNumber(bytes, offset + 16),
    overflowPages: readNumber(bytes, offset + 24),
    entries: readNumber(bytes, offset + 32),
    root: readNumber(bytes, offset + 40),
  }
}

/** Reads a u64. Above 2^53 it is not exact, and far above what any file can hold. */
export function readNumber(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * wordValues + bytes.readUInt32LE(offset)
}

function readFully(fileDescriptor: number, target: Buffer, position: number): boolean {
  if (!Number.isSafeInteger(position)) return false
  let done = 0
  while (done < target.length) {
    const count = readSync(fileDescriptor, target, done, target.length - done, position + done)
    if (count === 0) return false
    done += count
  }
  return true
}
