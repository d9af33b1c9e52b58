import { SluiceError } from '../base/errors.ts'
import { canReadPages, openLmdbPages, openPagesAsTheyAre, readNumber } from './lmdb-pages.ts'
import type { LmdbFault, LmdbPages, OnFault } from './lmdb-pages.ts'
import { compareNumbers, createPageUse, rowsOfLostPage, rowsOfTree } from './lmdb-tree.ts'
import type { LmdbRow, PageUse } from './lmdb-tree.ts'

/** What is done with the rows and the faults of a file. */
export interface LmdbVisitor {
  /**
   * Set to read on where there are faults: called with the rows of pages that no page leads to.
   * They may be rows of the past when the list of free pages has faults, too.
   */
  readonly onLostRow?: ((row: LmdbRow) => void) | undefined
  /** Waited for now and then, so that rows do not pile up. Default: a turn of the event loop. */
  readonly onTurn?: (() => Promise<unknown>) | undefined
  /** @param table the name of the tree of a row; undefined for the main tree */
  readonly onRow: (table: string | undefined, row: LmdbRow) => void
  readonly onFault: OnFault
}

/** Rows, and their bytes, between two turns of the event loop. */
const rowsPerTurn = 4_096
const bytesPerTurn = 16 * 1024 * 1024
/**
 * Free pages at the end are not in the file until they are used. Pages that are neither used nor
 * free do no harm, but a last page that is far behind the end of the file is none.
 */
const lostPagesMax = 4_096

/**
 * Reads a whole file of LMDB, which must not be empty and must not change meanwhile: all rows of
 * all its trees, and its list of free pages. What has a fault is left out.
 *
 * @throws what the system throws (rejects)
 */
export async function walkLmdbFile(
  file: string,
  { onRow, onLostRow, onTurn, onFault: tell }: LmdbVisitor,
): Promise<void> {
  if (!canReadPages) return
  let hasFault = false
  const onFault: OnFault = (fault) => {
    hasFault = true
    tell(fault)
  }
  const salvages = onLostRow !== undefined
  const opened = openLmdbPages(file, onFault) ?? (salvages ? openPagesAsTheyAre(file) : undefined)
  if (!opened) return
  // The other meta page may be of the state before: what was written since is lost to it, and its
  // free pages may be in use.
  const isOfPast = hasFault && salvages
  const pages = isOfPast ? withAllPages(opened) : opened
  try {
    const use = createPageUse(pages)
    const turns = createTurns(onTurn)
    const tables: { readonly name: string; readonly head: LmdbPages['main'] }[] = []
    for (const row of rowsOfTree(pages, use, { head: pages.main, salvages }, onFault)) {
      if (row.tree) tables.push({ name: nameOf(row.key), head: row.tree })
      else onRow(undefined, row)
      if (turns.isOver(row)) await turns.next()
    }
    for (const { name, head } of tables) {
      if (head.flags !== 0) onFault({ page: undefined, problem: `${name} has unknown flags` })
      for (const row of rowsOfTree(pages, use, { head, salvages }, onFault)) {
        if (row.tree) onFault({ page: row.page, problem: 'has a tree within a tree' })
        else onRow(name, row)
        if (turns.isOver(row)) await turns.next()
      }
    }
    const free = checkFreePages(pages, use, onFault)
    if (!hasFault || !onLostRow) return
    for (let page = 2; page * pages.pageBytes < pages.fileBytes; page++) {
      if (use.isTaken(page) || (free.has(page) && !isOfPast)) continue
      for (const row of rowsOfLostPage(pages, use, page)) {
        onLostRow(row)
        if (turns.isOver(row)) await turns.next()
      }
    }
  } finally {
    pages.close()
  }
}

/** The same with the pages and transactions that its meta page does not know. */
function withAllPages(pages: LmdbPages): LmdbPages {
  const lastInFile = Math.floor(pages.fileBytes / pages.pageBytes) - 1
  const lastPage = Math.max(pages.lastPage, lastInFile)
  return { ...pages, lastPage, transaction: Number.MAX_SAFE_INTEGER }
}

/** lmdb-js ends the names of its tables with a zero byte. */
const nameOf = (key: Buffer): string => key.toString('utf8').replace(/\0$/, '')

function createTurns(onTurn = nextTurn) {
  let rows = 0
  let bytes = 0
  return {
    isOver({ value }: LmdbRow) {
      rows += 1
      bytes += value.length
      return rows >= rowsPerTurn || bytes >= bytesPerTurn
    },
    next() {
      rows = 0
      bytes = 0
      return onTurn()
    },
  }
}

const nextTurn = (): Promise<unknown> => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * A page that is in use and free at once, or free twice, would be overwritten. The list of a
 * transaction is a u64 count and so many i64: the number of a page, or the negative length of a
 * block, which the number of its first page follows. They are in no order, and zeros are left out.
 *
 * @returns the free pages
 */
function checkFreePages(pages: LmdbPages, use: PageUse, onFault: OnFault): ReadonlySet<number> {
  const known = new Set<number>()
  const pagesInFile = Math.floor(pages.fileBytes / pages.pageBytes)
  let freeBehind = 0
  function free(page: number, count: number): void {
    if (page < 2 || page + count - 1 > pages.lastPage) {
      onFault({ page, problem: 'is free, but is no page of the file' })
      return
    }
    freeBehind += Math.max(0, page + count - Math.max(page, pagesInFile))
    for (let each = page; each < page + count; each++) {
      if (known.has(each)) onFault({ page: each, problem: 'is free twice' })
      known.add(each)
      if (use.isTaken(each)) onFault({ page: each, problem: 'is both in use and free' })
    }
  }
  const lists: Buffer[] = []
  const tree = { head: pages.free, compare: compareNumbers }
  for (const { key, value, page, tree: inner } of rowsOfTree(pages, use, tree, onFault)) {
    const count = value.length < 8 ? Infinity : readNumber(value, 0)
    const transaction = key.length === 8 ? readNumber(key, 0) : 0
    const isOfPast = transaction > 0 && transaction <= pages.transaction
    if (!isOfPast || inner !== undefined || (count + 1) * 8 > value.length) {
      onFault({ page, problem: 'has a list of free pages that cannot be read' })
      continue
    }
    lists.push(Buffer.from(value.subarray(8, (count + 1) * 8)))
  }
  // The pages of the tree of free pages itself are in use, too: all of them are known only now.
  for (const list of lists) {
    for (const { page, count } of blocksOf(list)) free(page, count)
  }
  const missing = pages.lastPage + 1 - pagesInFile
  if (missing > freeBehind + lostPagesMax) {
    const problem = `the file ends at page ${pagesInFile}, before its last page, ${pages.lastPage}`
    onFault({ page: undefined, problem })
  }
  return known
}

/** The pages that a list names, one by one and as blocks. */
function* blocksOf(list: Buffer): Generator<{ readonly page: number; readonly count: number }> {
  for (let at = 0; at < list.length; at += 8) {
    const entry = Number(list.readBigInt64LE(at))
    if (entry > 0) yield { page: entry, count: 1 }
    if (entry >= 0) continue
    at += 8
    // A length that nothing follows is no block.
    yield { page: at < list.length ? readNumber(list, at) : 0, count: -entry }
  }
}

interface CheckOptions {
  readonly onRow?: LmdbVisitor['onRow'] | undefined
  /** What can be done about a damaged file, for the error. */
  readonly wayOut: string
}

/** Another process that writes all the time is not waited for. */
const attemptsMax = 5

/**
 * Checks a file of LMDB before it is mapped.
 *
 * @throws SluiceError DataFolderDamaged (rejects): names the first fault
 */
export async function checkLmdbFile(
  file: string,
  { onRow = () => {}, wayOut }: CheckOptions,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const before = newestTransaction(file)
    const fault = await firstFault(file, onRow)
    if (fault === undefined) return
    // Pages change while another process writes. What it has open, it has checked.
    const isWritten = before !== newestTransaction(file)
    if (isWritten && attempt === attemptsMax) return
    if (!isWritten) throw damaged(`${file} is damaged: ${textOfFault(fault)}`, wayOut)
  }
}

export function damaged(problem: string, wayOut: string): SluiceError {
  return new SluiceError('DataFolderDamaged', `${problem}: ${wayOut}`)
}

export function textOfFault({ page, problem }: LmdbFault): string {
  return page === undefined ? problem : `page ${page} ${problem}`
}

async function firstFault(
  file: string,
  onRow: LmdbVisitor['onRow'],
): Promise<LmdbFault | undefined> {
  const stop = Symbol('stop')
  let first: LmdbFault | undefined
  try {
    await walkLmdbFile(file, {
      onRow,
      onFault(fault) {
        first = fault
        throw stop
      },
    })
  } catch (thrown) {
    if (thrown !== stop) throw thrown
  }
  return first
}

function newestTransaction(file: string): number | undefined {
  const pages = canReadPages ? openLmdbPages(file, () => {}) : undefined
  try {
    return pages?.transaction
  } finally {
    pages?.close()
  }
}
