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
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'

/** A commit takes further appends until it holds this much; one append may be larger. */
const commitBytesMax = 16 * 1024 * 1024
/** Records removed in one commit; one removal may be larger. */
const commitRemovalsMax = 20_000
const removalLingerMs = 20
/** No fewer removals are made one where they can be: it looks at all of them. */
const compactAtLeast = 10_000
const removalRetryMs = 1_000

/** What is appended as one: the records of a message, ready to be written. */
export interface Append {
  readonly bytes: number
  /** When it was handed in, by the monotonic clock. */
  readonly requestedMs: number
}

/** What is removed as one. */
export interface Removal {
  /** How many records it is about. */
  readonly count: number
}

export interface GroupCommit<Item extends Append, Gone extends Removal> {
  /** The promise is that of the commit: all that go to disk together are given the same. */
  append(item: Item): Promise<void>
  remove(removals: readonly Gone[]): void
  /** Commits all that waits, then refuses appends. */
  close(): Promise<void>
}

interface GroupCommitDependencies<Item extends Append, Gone extends Removal> {
  readonly clock: Clock
  /** Resolves when durable; rejects with nothing changed. */
  readonly write: (appends: readonly Item[], removals: readonly Gone[]) => Promise<void>
  /** Called after a flush, before the appends of that commit resolve. */
  readonly onDurable: (appends: readonly Item[], removals: readonly Gone[]) => void
  readonly onFailed: (error: unknown) => void
  /** The same in fewer removals, where that is possible: while commits fail they pile up. */
  readonly compact: (removals: readonly Gone[]) => Gone[]
  /** Called after the flush or the failure, and for what is refused. */
  readonly onEnded: (appends: readonly Item[]) => void
}

/** The appends of one commit. A promise for all: there are as many of them as messages. */
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
    // All that arrives in this turn of the event loop shares the first commit.
    running ??= new Promise((resolve) => setImmediate(() => resolve(run())))
  }

  async function run(): Promise<void> {
    linger.end()
    while (!waiting.isEmpty() || !removals.isEmpty()) {
      const committed = await commitOnce()
      // Removals are in no hurry, unless this is the last chance to write them.
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
    // Not before: until then they are counted as on their way, from then on as on disk.
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

/** Calls back when the delay that was begun first is over. */
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

/** Removals in order, but for those that were made one. */
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
    /** Those of the next commit: at least one, if there is any. */
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

/** Appends in order, in groups of `commitBytesMax`: only the last one takes further ones. */
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
