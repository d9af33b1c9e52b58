/**
 * One writer for the outbox: appends and removals wait here and go to disk together.
 *
 * - A commit starts as soon as the one before it is flushed, with everything that waits: the
 *   slower the disk, the larger the groups. No timer stands between an append and its commit.
 * - An append is never split over two commits, and appends are committed in the order of calls.
 * - Removals ride along with appends; alone they linger a little, for nobody waits for them.
 * - A failed commit rejects the appends that it carried. Its removals stay, and the next commit
 *   carries removals alone: on a full disk they are what makes room again.
 *
 * What waits is bounded by the callers: the ingress gate holds at most so many messages that are
 * not acknowledged, and the producer so many records that are in flight.
 */
import type { Clock } from '../clock.ts'
import { SluiceError, messageOf } from '../errors.ts'

/** A commit takes further appends until it holds this much; one append may be larger. */
const commitBytesMax = 16 * 1024 * 1024
/** Removals in one commit. */
const commitRemovalsMax = 20_000
const removalLingerMs = 20
const removalRetryMs = 1_000

/** What is appended as one: the records of a message, ready to be written. */
export interface Append {
  readonly bytes: number
  readonly handedMs: number
  /** Called when it is durable, or never will be. */
  readonly onSettled?: () => void
}

export interface GroupCommit<Item extends Append, Removal> {
  append(item: Item): Promise<void>
  remove(removals: readonly Removal[]): void
  /** Commits all that waits, then refuses appends. */
  close(): Promise<void>
}

export interface GroupCommitDependencies<Item extends Append, Removal> {
  readonly clock: Clock
  /** Resolves when durable; rejects with nothing changed. */
  readonly write: (appends: readonly Item[], removals: readonly Removal[]) => Promise<void>
  /** Called after a flush, before the appends of that commit resolve. */
  readonly onDurable: (appends: readonly Item[], removals: readonly Removal[]) => void
  readonly onFailed: (error: unknown) => void
}

interface Waiting<Item> {
  readonly item: Item
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

export function createGroupCommit<Item extends Append, Removal>(
  dependencies: GroupCommitDependencies<Item, Removal>,
): GroupCommit<Item, Removal> {
  const { clock, write, onDurable, onFailed } = dependencies
  const waiting: Waiting<Item>[] = []
  let removals: Removal[] = []
  let running: Promise<void> | undefined
  let cancelLinger: (() => void) | undefined
  let failing = false
  let removalsFirst = false
  let closed = false

  function start(): void {
    // All that arrives in this turn of the event loop shares the first commit.
    running ??= new Promise((resolve) => setImmediate(() => resolve(run())))
  }

  function linger(delayMs: number): void {
    cancelLinger ??= clock.after(delayMs, () => {
      cancelLinger = undefined
      start()
    })
  }

  async function run(): Promise<void> {
    cancelLinger?.()
    cancelLinger = undefined
    while (waiting.length > 0 || removals.length > 0) {
      const committed = await commitOnce()
      // Removals are in no hurry, unless this is the last chance to write them.
      if (waiting.length === 0 && !(closed && committed)) break
    }
    running = undefined
    if (removals.length > 0 && !closed) linger(failing ? removalRetryMs : removalLingerMs)
  }

  async function commitOnce(): Promise<boolean> {
    const removing = removals.splice(0, commitRemovalsMax)
    const group = removalsFirst && removing.length > 0 ? [] : takeGroup(waiting)
    const items = group.map(({ item }) => item)
    removalsFirst = false
    try {
      await write(items, removing)
    } catch (error) {
      failing = true
      removalsFirst = group.length > 0
      removals = [...removing, ...removals]
      onFailed(error)
      rejectAll(group, error)
      return false
    }
    failing = false
    onDurable(items, removing)
    resolveAll(group)
    return true
  }

  return Object.freeze({
    append(item: Item) {
      if (closed) return refuse(item)
      return new Promise<void>((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        start()
      })
    },
    remove(further: readonly Removal[]) {
      for (const removal of further) removals.push(removal)
      if (running === undefined) linger(removalLingerMs)
    },
    async close() {
      closed = true
      start()
      await running
    },
  })
}

/** Takes the appends of the next commit out of `waiting`: at least one, up to `commitBytesMax`. */
function takeGroup<Item extends Append>(waiting: Waiting<Item>[]): Waiting<Item>[] {
  let bytes = 0
  const end = waiting.findIndex(({ item }, index) => {
    bytes += item.bytes
    return index > 0 && bytes > commitBytesMax
  })
  return waiting.splice(0, end < 0 ? waiting.length : end)
}

function refuse(item: Append): Promise<never> {
  item.onSettled?.()
  return Promise.reject(new SluiceError('OutboxWriteFailed', 'Outbox is closed'))
}

function resolveAll(group: readonly Waiting<Append>[]): void {
  for (const { item, resolve } of group) {
    item.onSettled?.()
    resolve()
  }
}

function rejectAll(group: readonly Waiting<Append>[], cause: unknown): void {
  const message = `The records could not be written to disk: ${messageOf(cause)}`
  for (const { item, reject } of group) {
    item.onSettled?.()
    reject(new SluiceError('OutboxWriteFailed', message, { cause }))
  }
}
