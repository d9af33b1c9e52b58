/**
 * The only writer of the outbox: appends and removals wait here and are written together.
 *
 * - A commit starts as soon as the one before it is flushed, with everything that waits: the
 *   slower the disk, the larger the groups. No timer delays the commit of an append.
 * - An append is never split over two commits, and appends are committed in call order.
 * - Commits of appends carry removals too. Without appends, removals wait a little: no caller waits
 *   for them.
 * - A failed commit rejects the appends that it carried. Its removals stay, and the next commit
 *   carries removals only: on a full disk they make room again.
 *
 * The callers bound what waits: the ingress gate bounds unacknowledged messages, and the producer
 * bounds records in flight.
 */
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'

/** A commit takes further appends until it holds this much; one append may be larger. */
const commitBytesMax = 16 * 1024 * 1024
/** Records removed in one commit; one removal may be larger. */
const commitRemovalsMax = 20_000
const removalLingerMs = 20
/** Compacting scans every waiting removal, so it is not worth doing below this many. */
const compactAtLeast = 10_000
const removalRetryMs = 1_000

/** The records of one message, ready to be written together. */
export interface Append {
  readonly bytes: number
  /** When the append was requested, by the monotonic clock. */
  readonly requestedMs: number
}

/** Records that are removed together. */
export interface Removal {
  /** How many records it removes. */
  readonly count: number
}

export interface GroupCommit<Item extends Append, Gone extends Removal> {
  /** Returns the promise of the commit: appends that are written together share one promise. */
  append(item: Item): Promise<void>
  remove(removals: readonly Gone[]): void
  /** Commits everything that waits. Later appends are refused. */
  close(): Promise<void>
}

interface GroupCommitDependencies<Item extends Append, Gone extends Removal> {
  readonly clock: Clock
  /** Resolves when durable; rejects with nothing changed. */
  readonly write: (appends: readonly Item[], removals: readonly Gone[]) => Promise<void>
  /** Called after a flush, before the appends of that commit resolve. */
  readonly onDurable: (appends: readonly Item[], removals: readonly Gone[]) => void
  readonly onFailed: (error: unknown) => void
  /** Joins removals into fewer, where possible: while commits fail, removals pile up. */
  readonly compact: (removals: readonly Gone[]) => Gone[]
  /** Called with appends whose commit was flushed or failed, and with refused appends. */
  readonly onEnded: (appends: readonly Item[]) => void
}

/** The appends of one commit. They share one promise, because every message is an append. */
interface Group<Item> {
  readonly items: Item[]
  bytes: number
  readonly durable: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

export function createGroupCommit<Item extends Append, Gone extends Removal>(
  dependencies: GroupCommitDependencies<Item, Gone>,
): GroupCommit<Item, Gone> {
  const { clock, write, onDurable, onFailed, onEnded } = dependencies
  const waiting = createWaitingAppends<Item>()
  const removals = createWaitingRemovals(dependencies.compact)
  let running: Promise<void> | undefined
  const linger = createLinger(clock, start)
  let failing = false
  let removalsFirst = false
  let closed = false

  function start(): void {
    // All appends of this turn of the event loop share the first commit.
    running ??= new Promise((resolve) => setImmediate(() => resolve(run())))
  }

  async function run(): Promise<void> {
    linger.end()
    while (!waiting.isEmpty() || !removals.isEmpty()) {
      const committed = await commitOnce()
      // Removals can wait, unless the writer closes and this is their last commit.
      if (waiting.isEmpty() && !(closed && committed)) break
    }
    running = undefined
    if (!removals.isEmpty() && !closed) linger.begin(failing ? removalRetryMs : removalLingerMs)
  }

  async function commitOnce(): Promise<boolean> {
    const removing = removals.take()
    const group = removalsFirst && removing.length > 0 ? undefined : waiting.takeGroup()
    const items = group?.items ?? []
    removalsFirst = false
    try {
      await write(items, removing)
    } catch (thrown) {
      failing = true
      removalsFirst = items.length > 0
      removals.putBack(removing)
      onFailed(thrown)
      onEnded(items)
      group?.reject(writeFailed(thrown))
      return false
    }
    failing = false
    onDurable(items, removing)
    // Not earlier: until here the appends count as on their way to disk, from here on as on disk.
    onEnded(items)
    group?.resolve()
    return true
  }

  return {
    append(item: Item) {
      if (closed) return refuse(item, onEnded)
      start()
      return waiting.add(item)
    },
    remove(further: readonly Gone[]) {
      removals.add(further)
      if (running === undefined) linger.begin(removalLingerMs)
    },
    async close() {
      closed = true
      start()
      await running
    },
  }
}

/** Calls back after the first delay that was begun; later delays do not extend it. */
function createLinger(clock: Clock, callback: () => void) {
  let cancel: (() => void) | undefined
  function end(): void {
    cancel?.()
    cancel = undefined
  }
  return {
    end,
    begin(delayMs: number): void {
      cancel ??= clock.after(delayMs, () => {
        end()
        callback()
      })
    },
  }
}

/** The waiting removals, in order except where `compact` joined them. */
function createWaitingRemovals<Gone extends Removal>(
  compact: (removals: readonly Gone[]) => Gone[],
) {
  let removals: Gone[] = []
  let compactAt = compactAtLeast
  return {
    isEmpty: () => removals.length === 0,
    add(further: readonly Gone[]): void {
      for (const removal of further) removals.push(removal)
      if (removals.length <= compactAt) return
      removals = compact(removals)
      compactAt = Math.max(compactAtLeast, 2 * removals.length)
    },
    /** The removals of the next commit: at least one, if any waits. */
    take(): readonly Gone[] {
      let count = 0
      const end = removals.findIndex((removal, index) => {
        count += removal.count
        return index > 0 && count > commitRemovalsMax
      })
      return removals.splice(0, end < 0 ? removals.length : end)
    },
    putBack(taken: readonly Gone[]): void {
      removals = [...taken, ...removals]
    },
  }
}

/** The waiting appends in order, in groups of `commitBytesMax`. Only the last group grows. */
function createWaitingAppends<Item extends Append>() {
  const groups: Group<Item>[] = []

  function groupFor({ bytes }: Item): Group<Item> {
    const last = groups.at(-1)
    if (last && last.bytes + bytes <= commitBytesMax) return last
    const group = newGroup<Item>()
    groups.push(group)
    return group
  }

  return {
    isEmpty: () => groups.length === 0,
    takeGroup: () => groups.shift(),
    add(item: Item): Promise<void> {
      const group = groupFor(item)
      group.items.push(item)
      group.bytes += item.bytes
      return group.durable
    },
  }
}

function newGroup<Item>(): Group<Item> {
  const ends: Pick<Group<Item>, 'resolve' | 'reject'> = { resolve: unset, reject: unset }
  const durable = new Promise<void>((resolve, reject) => {
    Object.assign(ends, { resolve, reject })
  })
  return { items: [], bytes: 0, durable, ...ends }
}

const unset = (): void => undefined

function refuse<Item>(item: Item, onEnded: (appends: readonly Item[]) => void): Promise<never> {
  onEnded([item])
  return Promise.reject(new SluiceError('OutboxWriteFailed', 'Outbox is closed'))
}

function writeFailed(cause: unknown): SluiceError {
  const message = `The records could not be written to disk: ${messageOf(cause)}`
  return new SluiceError('OutboxWriteFailed', message, { cause })
}
