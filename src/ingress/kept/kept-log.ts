import type { Clock } from '../../base/clock.ts'
import type { KeptTable } from './kept-rows.ts'

/**
 * The writer of what is kept for MQTT clients. Memory is what is read; this is the log behind it.
 *
 * - A change waits here until the next commit, which takes everything that waits, in one
 *   transaction: what came before a change is on disk with it or before it.
 * - A commit starts at once when anyone waits for it. Changes that nobody waits for start one after
 *   a short delay: the packet ids of messages that were sent, and rows that have gone.
 * - A row that changes again before its commit is written once.
 * - Changes whose commit fails wait for the next one, except those that are discarded because their
 *   message is refused. On a full disk the rows that have gone are removed first, to make room.
 *
 * What waits is bounded by the bounds of what is kept, because a row waits once.
 */
export interface KeptLog {
  /** A number that no row has. Rows are read in the order of their numbers. */
  readonly nextId: () => number
  put(table: KeptTable, id: number, row: Buffer): void
  remove(table: KeptTable, id: number): void
  /** Forgets a row whose commit has failed. */
  discard(table: KeptTable, id: number): void
  /**
   * Resolves when all changes so far are on disk. Callers of one commit share the promise.
   *
   * @throws what LMDB throws (rejects)
   */
  flushed(): Promise<void>
  /** Commits everything that waits. Later changes are not written. */
  close(): Promise<void>
}

/** Rows to write, and undefined for rows to remove. */
export type KeptChanges = ReadonlyMap<KeptTable, ReadonlyMap<number, Buffer | undefined>>

interface KeptLogDependencies {
  readonly clock: Clock
  /** Resolves when durable; rejects with nothing changed. */
  readonly write: (changes: KeptChanges) => Promise<void>
  readonly onFailed: (error: unknown) => void
}

const lingerMs = 20
const retryMs = 1_000

export function createKeptLog(
  { clock, write, onFailed }: KeptLogDependencies,
  { lastId }: { readonly lastId: number },
): KeptLog {
  let id = lastId
  let waiting = createWaiting()
  let group: Group | undefined
  let isFailing = false
  let isClosed = false
  const runs = createRuns(clock, commit, () => {
    if (isClosed || waiting.isEmpty()) return undefined
    return isFailing ? retryMs : lingerMs
  })

  async function commit(): Promise<void> {
    const taken = waiting
    const awaited = group
    waiting = createWaiting()
    group = undefined
    let removals = noChanges
    try {
      if (isFailing) removals = taken.takeRemovals()
      await writeUnlessEmpty(removals)
      removals = noChanges
      await writeUnlessEmpty(taken.changes)
      isFailing = false
      awaited?.resolve()
    } catch (thrown) {
      isFailing = true
      waiting.addBefore(removals)
      waiting.addBefore(taken.changes)
      onFailed(thrown)
      awaited?.reject(thrown)
      // Those who waited discard what is refused before it is tried again.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async function writeUnlessEmpty(changes: KeptChanges): Promise<void> {
    if (!isEmpty(changes)) await write(changes)
  }

  function change(table: KeptTable, rowId: number, row: Buffer | undefined): void {
    waiting.set(table, rowId, row)
    if (!isClosed) runs.startIn(isFailing ? retryMs : lingerMs)
  }

  return {
    nextId: () => ++id,
    put: change,
    remove: (table, rowId) => change(table, rowId, undefined),
    discard: (table, rowId) => waiting.discard(table, rowId),
    flushed() {
      if (isClosed) return Promise.reject(new Error('what is kept is closed'))
      runs.start()
      group ??= newGroup()
      return group.flushed
    },
    async close() {
      isClosed = true
      await runs.ended()
      runs.start()
      await runs.ended()
    },
  }
}

/**
 * Runs one commit after the other: at once, or after a delay that only `start` cuts short.
 *
 * @param delayMs until the next one, when none was asked for meanwhile; undefined: there is none
 */
function createRuns(clock: Clock, commit: () => Promise<void>, delayMs: () => number | undefined) {
  let running: Promise<void> | undefined
  let isAsked = false
  let cancel: (() => void) | undefined

  /** All changes of this turn of the event loop share the first commit. */
  function start(): void {
    cancel?.()
    cancel = undefined
    isAsked = true
    running ??= new Promise((resolve) => setImmediate(() => resolve(runOn())))
  }

  async function runOn(): Promise<void> {
    while (isAsked) {
      isAsked = false
      await commit()
    }
    // In one turn with the last look at `isAsked`, so that nothing is missed in between.
    running = undefined
    startIn(delayMs())
  }

  function startIn(delay: number | undefined): void {
    if (running === undefined && delay !== undefined) cancel ??= clock.after(delay, start)
  }

  return { start, startIn, ended: () => running ?? Promise.resolve() }
}

const noChanges: KeptChanges = new Map()

function isEmpty(changes: KeptChanges): boolean {
  for (const rows of changes.values()) if (rows.size > 0) return false
  return true
}

interface Group {
  readonly flushed: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

function newGroup(): Group {
  let ends: Omit<Group, 'flushed'> | undefined
  const flushed = new Promise<void>((resolve, reject) => {
    ends = { resolve, reject }
  })
  if (ends === undefined) throw new Error('the executor runs at once')
  return { flushed, ...ends }
}

function createWaiting() {
  const changes = new Map<KeptTable, Map<number, Buffer | undefined>>()

  function rowsOf(table: KeptTable): Map<number, Buffer | undefined> {
    const known = changes.get(table)
    if (known !== undefined) return known
    const rows = new Map<number, Buffer | undefined>()
    changes.set(table, rows)
    return rows
  }

  return {
    changes: changes as KeptChanges,
    isEmpty: () => isEmpty(changes),
    set: (table: KeptTable, id: number, row: Buffer | undefined) => void rowsOf(table).set(id, row),
    discard: (table: KeptTable, id: number) => void changes.get(table)?.delete(id),
    /** Adds changes that are older than those that wait. */
    addBefore(older: KeptChanges): void {
      for (const [table, rows] of older) {
        const newer = rowsOf(table)
        for (const [id, row] of rows) if (!newer.has(id)) newer.set(id, row)
      }
    },
    /** Takes the removals out. */
    takeRemovals(): KeptChanges {
      const removals = new Map<KeptTable, Map<number, undefined>>()
      for (const [table, rows] of changes) {
        const removed = new Map<number, undefined>()
        for (const [id, row] of rows) if (row === undefined) removed.set(id, undefined)
        for (const id of removed.keys()) rows.delete(id)
        if (removed.size > 0) removals.set(table, removed)
      }
      return removals
    },
  }
}
