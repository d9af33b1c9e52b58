/**
 * Walks the trees of an LMDB file and checks everything that LMDB takes for granted: each page is
 * there, names itself, is used once, and holds nodes that lie within it in the order of their
 * keys.
 *
 * A node begins with 8 bytes: u16 low and u16 high half of the size of its value, u16 flags, u16
 * size of its key. Key and value follow. In a branch page the first three are the number of the
 * page below. A value that does not fit is in pages of its own ("overflow"): the node then holds
 * u64 first page, u64 transaction, u64 count of pages.
 */
import { headerBytes, noPage, pageKinds, readNumber, readTreeHead } from './lmdb-pages.ts'
import type { LmdbPages, OnFault, TreeHead } from './lmdb-pages.ts'

const nodeHeaderBytes = 8
const overflowNodeBytes = 24
const nodeFlags = Object.freeze({ overflow: 1, tree: 2 })
const wordValues = 0x1_0000_0000
/** Deeper than any file of 2^48 pages. */
const depthMax = 32

/** A row of a tree. Key and value are views that are good until the next row is asked for. */
export interface LmdbRow {
  readonly key: Buffer
  readonly value: Buffer
  /** Set where the value is a tree with a name, which is the key. */
  readonly tree?: TreeHead | undefined
  readonly page: number
  /** Where the value begins in the file. */
  readonly valueAt: number
  /** Its page has a fault, or no page leads to it: only a checksum tells whether it is a row. */
  readonly isDoubtful: boolean
}

/** Which pages are in use, so that none is used twice. */
export interface PageUse {
  /** @returns what is wrong with it, or undefined */
  take(page: number, count: number): string | undefined
  isTaken(page: number): boolean
}

export function createPageUse({ fileBytes, pageBytes, lastPage }: LmdbPages): PageUse {
  const pagesInFile = Math.floor(fileBytes / pageBytes)
  const taken = new Uint8Array(Math.min(lastPage + 1, pagesInFile))
  taken.fill(1, 0, 2)
  return {
    isTaken: (page) => taken[page] === 1,
    take(page, count) {
      if (page + count - 1 > lastPage) return `lies behind the last page, ${lastPage}`
      if (page + count > taken.length) {
        return `lies behind the end of the file, which has ${fileBytes} bytes`
      }
      for (let each = page; each < page + count; each++) {
        if (taken[each] === 1) return 'is used twice'
        taken[each] = 1
      }
      return undefined
    },
  }
}

type CompareKeys = (left: Buffer, right: Buffer) => number

const compareBytes: CompareKeys = (left, right) => left.compare(right)

/** Keys that are numbers of 64 bits, in the byte order of the machine. */
export const compareNumbers: CompareKeys = (left, right) =>
  left.length === 8 && right.length === 8
    ? readNumber(left, 0) - readNumber(right, 0)
    : left.length - right.length

interface WalkedTree {
  readonly head: TreeHead
  /** Whether rows of leaf pages that have a fault are read as far as possible. */
  readonly salvages?: boolean | undefined
  readonly compare?: CompareKeys | undefined
}

/** A page that is still to be walked, with the bounds of its keys. */
interface PageToWalk {
  readonly page: number
  readonly level: number
  /** Absent: there is no bound. */
  readonly from: Buffer | undefined
  readonly to: Buffer | undefined
}

/**
 * The rows of a tree in the order of their keys. What has a fault is reported and left out: a
 * branch page with all that is below it.
 */
export function* rowsOfTree(
  pages: LmdbPages,
  use: PageUse,
  { head, compare = compareBytes, salvages = false }: WalkedTree,
  onFault: OnFault,
): Generator<LmdbRow> {
  const found = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
  let hasFault = false
  const fault: OnFault = (what) => {
    hasFault = true
    onFault(what)
  }
  const waiting: PageToWalk[] = []
  if (head.root !== noPage) {
    waiting.push({ page: head.root, level: 1, from: undefined, to: undefined })
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { page: number, level } = next
    const kind = level === head.depth ? pageKinds.leaf : pageKinds.branch
    const page = level > depthMax ? undefined : takePage(pages, use, number, fault)
    const problem = page && pageProblem(pages, page, number, kind)
    if (problem !== undefined) fault({ page: number, problem })
    const isDoubtful = problem !== undefined
    if (!page || (isDoubtful && !(salvages && kind === pageKinds.leaf))) continue
    if (kind === pageKinds.branch) {
      found.branchPages += 1
      waiting.push(...childrenOf(page, next, compare, fault))
      continue
    }
    found.leafPages += 1
    for (const row of rowsOfLeaf(pages, use, { page, bounds: next, compare, isDoubtful }, fault)) {
      found.entries += 1
      found.overflowPages += row.overflowPages
      yield row
    }
  }
  if (hasFault) return
  for (const [name, count] of Object.entries(found) as [keyof typeof found, number][]) {
    if (count === head[name]) continue
    fault({ page: undefined, problem: `a tree has ${count} ${named[name]}, not ${head[name]}` })
  }
}

const named = Object.freeze({
  branchPages: 'branch pages',
  leafPages: 'leaf pages',
  overflowPages: 'overflow pages',
  entries: 'entries',
})

function takePage(
  pages: LmdbPages,
  use: PageUse,
  number: number,
  onFault: OnFault,
): Buffer | undefined {
  const problem = use.take(number, 1)
  const page = problem === undefined ? pages.read(number) : undefined
  if (page === undefined) onFault({ page: number, problem: problem ?? 'cannot be read' })
  return page
}

/** What is wrong with the header of a page, or with the places of its nodes. */
function pageProblem(
  { pageBytes, transaction }: LmdbPages,
  page: Buffer,
  number: number,
  kind: number,
): string | undefined {
  if (readNumber(page, 0) !== number) return `names itself page ${readNumber(page, 0)}`
  // LMDB changes pages of a later transaction in place, in memory that it may only read.
  if (readNumber(page, 8) > transaction) return 'is of a transaction that has not been'
  if (page.readUInt16LE(16) !== 0 || page.readUInt16LE(18) !== kind) return 'is of another kind'
  const listEnd = page.readUInt16LE(20)
  const nodesStart = page.readUInt16LE(22)
  const isList = listEnd >= 2 && listEnd % 2 === 0 && listEnd <= nodesStart
  if (!isList || nodesStart > pageBytes - headerBytes) return 'has no list of nodes'
  let bytes = 0
  for (let index = 0; index < listEnd / 2; index++) {
    const start = page.readUInt16LE(headerBytes + 2 * index)
    const isPlace = start >= nodesStart && start % 2 === 0
    if (!isPlace || start + nodeHeaderBytes > pageBytes - headerBytes)
      return 'has a node outside it'
    const size = nodeBytes(page, headerBytes + start, kind)
    if (start + size > pageBytes - headerBytes) return 'has a node that is longer than it'
    bytes += size + (size % 2)
  }
  // Nodes stand without gaps: a size that was changed shows.
  return bytes === pageBytes - headerBytes - nodesStart ? undefined : 'has nodes of other sizes'
}

function nodeBytes(page: Buffer, start: number, kind: number): number {
  const keyBytes = page.readUInt16LE(start + 6)
  if (kind === pageKinds.branch) return nodeHeaderBytes + keyBytes
  const isOverflow = (page.readUInt16LE(start + 4) & nodeFlags.overflow) !== 0
  return nodeHeaderBytes + keyBytes + (isOverflow ? overflowNodeBytes : page.readUInt32LE(start))
}

const nodeCount = (page: Buffer) => Math.min(page.readUInt16LE(20), page.length - headerBytes) >> 1
const nodeStart = (page: Buffer, index: number) =>
  headerBytes + page.readUInt16LE(headerBytes + 2 * index)

function keyOf(page: Buffer, start: number): Buffer {
  const keyStart = start + nodeHeaderBytes
  return page.subarray(keyStart, keyStart + page.readUInt16LE(start + 6))
}

/** The pages below a branch page, the last one first. */
function childrenOf(
  page: Buffer,
  parent: PageToWalk,
  compare: CompareKeys,
  onFault: OnFault,
): PageToWalk[] {
  const children: PageToWalk[] = []
  let to = parent.to
  for (let index = nodeCount(page) - 1; index >= 0; index--) {
    const start = nodeStart(page, index)
    const child = page.readUInt16LE(start + 4) * wordValues + page.readUInt32LE(start)
    // The first key of a branch page is not used: nothing is less than it.
    const from = index === 0 ? parent.from : Buffer.from(keyOf(page, start))
    if (from && to && compare(from, to) >= 0) {
      onFault({ page: parent.page, problem: 'has keys that are out of order' })
    }
    children.push({ page: child, level: parent.level + 1, from, to })
    to = from
  }
  return children
}

interface Leaf {
  readonly page: Buffer
  readonly bounds: PageToWalk
  readonly compare: CompareKeys
  readonly isDoubtful: boolean
}

/** The rows of a page that no page leads to, if it is a leaf page. */
export function* rowsOfLostPage(
  pages: LmdbPages,
  use: PageUse,
  number: number,
): Generator<LmdbRow> {
  const page = pages.read(number)
  if (!page || pageProblem(pages, page, number, pageKinds.leaf) !== undefined) return
  const bounds = { page: number, level: 1, from: undefined, to: undefined }
  const leaf = { page, bounds, compare: compareBytes, isDoubtful: true }
  yield* rowsOfLeaf(pages, use, leaf, () => {})
}

function* rowsOfLeaf(
  pages: LmdbPages,
  use: PageUse,
  leaf: Leaf,
  onFault: OnFault,
): Generator<LmdbRow & { readonly overflowPages: number }> {
  const { bounds, compare, isDoubtful } = leaf
  // Reading the pages of a value overwrites the page that was read last.
  const page = Buffer.from(leaf.page)
  const number = bounds.page
  let before: Buffer | undefined
  for (const start of isDoubtful ? doubtfulStarts(page) : nodeStarts(page)) {
    const key = keyOf(page, start)
    const isAfter = before ? compare(before, key) < 0 : !isBelow(key, bounds.from, compare)
    if (key.length === 0 || !isAfter || (bounds.to && compare(key, bounds.to) >= 0)) {
      onFault({ page: number, problem: 'has a key that is out of order' })
    }
    before = key
    const flags = page.readUInt16LE(start + 4)
    const valueStart = start + nodeHeaderBytes + key.length
    const valueBytes = page.readUInt32LE(start)
    if (flags === nodeFlags.overflow) {
      const value = overflowValue(pages, use, page.subarray(valueStart), valueBytes, onFault)
      if (value) yield { key, ...value, page: number, isDoubtful }
      if (value || valueStart + valueBytes > page.length) continue
    }
    const value = page.subarray(valueStart, valueStart + valueBytes)
    const valueAt = number * pages.pageBytes + valueStart
    const isTree = flags === nodeFlags.tree
    if ((flags !== 0 && !isTree) || (isTree && valueBytes !== 48)) {
      onFault({ page: number, problem: 'has a node with unknown flags' })
    }
    const tree = isTree && valueBytes === 48 ? readTreeHead(value, 0) : undefined
    yield { key, value, tree, page: number, valueAt, isDoubtful, overflowPages: 0 }
  }
}

function* nodeStarts(page: Buffer): Generator<number> {
  for (let index = 0; index < nodeCount(page); index++) yield nodeStart(page, index)
}

/** The places of nodes by the list and, as nodes stand without gaps, by their sizes. */
function doubtfulStarts(page: Buffer): ReadonlySet<number> {
  const starts = new Set<number>()
  for (const start of nodeStarts(page)) {
    if (isWithin(page, start)) starts.add(start)
  }
  let start = headerBytes + page.readUInt16LE(22)
  while (isWithin(page, start)) {
    starts.add(start)
    const size = nodeBytes(page, start, pageKinds.leaf)
    start += size + (size % 2)
  }
  return starts
}

/** Whether a node begins within its page. What is behind its end is then left out. */
const isWithin = (page: Buffer, start: number): boolean => start + nodeHeaderBytes <= page.length

const isBelow = (key: Buffer, from: Buffer | undefined, compare: CompareKeys): boolean =>
  from !== undefined && compare(key, from) < 0

function overflowValue(
  pages: LmdbPages,
  use: PageUse,
  place: Buffer,
  valueBytes: number,
  onFault: OnFault,
) {
  if (place.length < overflowNodeBytes) return undefined
  const first = readNumber(place, 0)
  const count = readNumber(place, 16)
  const needed = Math.ceil((headerBytes + valueBytes) / pages.pageBytes)
  if (count < needed || count > pages.lastPage) {
    onFault({ page: first, problem: `has ${count} pages for a value of ${valueBytes} bytes` })
    return undefined
  }
  const problem = use.take(first, count)
  const bytes = problem === undefined ? pages.read(first, needed) : undefined
  if (!bytes) {
    onFault({ page: first, problem: problem ?? 'cannot be read' })
    return undefined
  }
  const isOverflow = bytes.readUInt16LE(18) === pageKinds.overflow
  if (readNumber(bytes, 0) !== first || !isOverflow || bytes.readUInt32LE(20) !== count) {
    onFault({ page: first, problem: 'is not the overflow page that it should be' })
    return undefined
  }
  if (readNumber(bytes, 8) > pages.transaction) {
    onFault({ page: first, problem: 'is of a transaction that has not been' })
    return undefined
  }
  const value = bytes.subarray(headerBytes, headerBytes + valueBytes)
  return { value, valueAt: first * pages.pageBytes + headerBytes, overflowPages: count }
}
