import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { ServiceError } from '../wire/service-error.ts'
import { planFlush } from './flush-plan.ts'
import type { DiskContents, FlushPlan } from './flush-plan.ts'
import type { Shard, Stream } from './stream.ts'
import type { StreamJournal } from './shard-storage.ts'

/**
 * Writes the changes of the lab to disk, all that wait in one transaction:
 *
 * - A flush starts as soon as the one before it has ended, with everything that waits: the slower
 *   the disk, the larger the flushes. No timer delays what a client waits for.
 * - What no client waits for, such as records that expire, waits a little for more.
 * - After a failed flush, for example on a full disk, its changes are tried again every second.
 *   Until that succeeds no further change is accepted, so that what waits does not grow.
 */
export interface DiskFlusher {
  readonly journal: StreamJournal
  /** @throws ServiceError InternalFailure when the disk takes nothing now */
  refuseWhileFailing(): void
  /**
   * Resolves when everything that has changed so far is on disk.
   * @throws ServiceError InternalFailure (rejects) when it could not be written
   */
  durable(): Promise<void>
  /** Writes what is left. Later changes are refused. */
  close(): Promise<void>
}

interface FlusherDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Resolves when the transaction is flushed; rejects with nothing changed. */
  readonly commit: (plan: FlushPlan) => Promise<void>
}

const lingerMs = 50
const retryMs = 1_000

interface Work {
  /** The shards with new records; a stream whose other state changed is in `changed`. */
  readonly appended: Map<Stream, Set<Shard>>
  readonly changed: Set<Stream>
  /** The outcome of the flush that carries this work; undefined while nobody waits for it. */
  waiters: Waiters | undefined
}

export function createDiskFlusher(
  { clock, logger, commit }: FlusherDependencies,
  contents: DiskContents,
): DiskFlusher {
  const deleted = new WeakSet<Stream>()
  const timer = createTimer(clock, begin)
  let waiting = newWork()
  let written: Work | undefined
  let running: Promise<void> | undefined
  let failure: ServiceError | undefined
  let isClosed = false

  function begin(): void {
    timer.cancel()
    if (isClosed || isEmpty(waiting)) return
    // Everything that changes in this turn of the event loop shares the flush.
    running ??= new Promise((resolve) => setImmediate(() => resolve(run())))
  }

  async function run(): Promise<void> {
    do await flush()
    while (failure === undefined && !isEmpty(waiting))
    running = undefined
    if (failure !== undefined && !isClosed) timer.begin(retryMs)
  }

  async function flush(): Promise<void> {
    const work = waiting
    waiting = newWork()
    written = work
    try {
      const plan = planFlush(contents, { ...work, deleted })
      await commit(plan)
      plan.onWritten()
      if (failure) logger.info({}, 'the lab can write to its folder again')
      failure = undefined
    } catch (thrown) {
      for (const stream of [...work.appended.keys(), ...work.changed]) waiting.changed.add(stream)
      const message = `the lab cannot write to its folder: ${messageOf(thrown)}`
      if (!failure) logger.warn({ err: thrown }, message)
      failure = new ServiceError('InternalFailure', message)
    }
    written = undefined
    if (failure) work.waiters?.reject(failure)
    else work.waiters?.resolve()
  }

  async function durable(): Promise<void> {
    const work = isEmpty(waiting) ? written : waiting
    if (!work) return
    if (work === waiting) begin()
    work.waiters ??= newWaiters()
    await work.waiters.promise
  }

  const linger = () => timer.begin(lingerMs)
  return {
    journal: journalOf(() => waiting, { deleted, begin, linger, durable }),
    refuseWhileFailing() {
      if (isClosed) throw new ServiceError('InternalFailure', 'The lab is being closed.')
      if (failure) throw failure
    },
    durable,
    async close() {
      if (isClosed) return
      isClosed = true
      timer.cancel()
      await running
      if (!isEmpty(waiting)) await flush()
    },
  }
}

/** Notes changes in the work that waits, and begins a flush or a short wait for more. */
function journalOf(
  waiting: () => Work,
  flusher: {
    readonly deleted: WeakSet<Stream>
    readonly begin: () => void
    readonly linger: () => void
    readonly durable: () => Promise<void>
  },
): StreamJournal {
  return {
    durable: flusher.durable,
    changed(stream) {
      waiting().changed.add(stream)
      flusher.begin()
    },
    appended(stream, shard) {
      const { appended } = waiting()
      const shards = appended.get(stream)
      if (shards) {
        shards.add(shard)
        return
      }
      appended.set(stream, new Set([shard]))
      flusher.begin()
    },
    removed(stream) {
      waiting().changed.add(stream)
      flusher.linger()
    },
    deleted(stream) {
      flusher.deleted.add(stream)
      waiting().changed.add(stream)
      flusher.begin()
    },
  }
}

interface Waiters {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (reason: ServiceError) => void
}

const newWork = (): Work => ({ appended: new Map(), changed: new Set(), waiters: undefined })

const isEmpty = ({ appended, changed }: Work) => appended.size + changed.size === 0

/** A failed flush is not an unhandled rejection when all that waited for it have gone. */
function newWaiters(): Waiters {
  let resolve: () => void = unset
  let reject: (reason: ServiceError) => void = unset
  const promise = new Promise<void>((onWritten, onFailed) => {
    resolve = onWritten
    reject = onFailed
  })
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

const unset = (): void => undefined

/** Calls back after the first delay that was begun; later delays do not extend it. */
function createTimer(clock: Clock, callback: () => void) {
  let cancel: (() => void) | undefined
  return {
    begin(delayMs: number): void {
      cancel ??= clock.after(delayMs, () => {
        cancel = undefined
        callback()
      })
    },
    cancel(): void {
      cancel?.()
      cancel = undefined
    },
  }
}
