import type { Clock } from '../../base/clock.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import type { NoticeLog } from '../../telemetry/limited-log.ts'
import { createCatchUp } from './catch-up.ts'
import { keyOf, stateUnavailable } from './shared-state.ts'
import type { SharedState, StateEntry } from './shared-state.ts'
import { createStateCopy } from './state-copy.ts'
import { createStateWriter } from './state-writer.ts'

/**
 * The shared state as one node sees it: a copy of all entries in memory, which a watch keeps up to
 * date, and writes to the store.
 *
 * Invariants:
 * - A write of this node is in the copy when its promise resolves.
 * - Listeners are told after the copy has changed, and in the order of the changes.
 * - While the store cannot be reached the copy stays as it is, and every write is refused.
 */
export interface ClusterState {
  /** For log lines and errors: `cluster sluice`. */
  readonly place: string
  /** @param kind the first part of keys: `rule` */
  view(kind: string): StateView
  /** Why the store cannot be reached; undefined when it can. */
  lostReason(): string | undefined
  close(): void
}

/** The entries of one kind, by their names. */
export interface StateView {
  /** In their order. */
  names(): readonly string[]
  get(name: string): StateEntry | undefined
  /** Rises with each change of an entry of this kind. */
  readonly version: number
  /**
   * Resolves when the copy holds every change that was made before the call, by any node.
   *
   * @throws SluiceError ServiceUnavailableException (rejects)
   */
  readonly caughtUp: () => Promise<void>
  /**
   * @param revision of the entry that is replaced; undefined when there must be none
   * @returns the new entry; undefined when there is another revision
   * @throws SluiceError ServiceUnavailableException, InvalidRequestException: the value is too
   *   large (rejects)
   */
  put(name: string, value: string, revision: number | undefined): Promise<StateEntry | undefined>
  /**
   * @returns false when there is another revision
   * @throws SluiceError ServiceUnavailableException (rejects)
   */
  remove(name: string, revision: number): Promise<boolean>
  /**
   * @param listener called with the name of each entry that was written or removed; it never throws
   * @returns stops it
   */
  onChange(listener: (name: string) => void): () => void
}

interface ClusterStateDependencies {
  readonly state: SharedState
  readonly clock: Clock
  readonly logger: Pick<NoticeLog, 'info' | 'warn'>
}

interface ClusterStateOptions {
  /** For log lines and errors: `cluster sluice`. */
  readonly place: string
  /** Ends the wait for the store. */
  readonly signal?: AbortSignal | undefined
}

/** How long a start waits before it says what it waits for. */
const patienceMs = 2_000

/**
 * Resolves when the copy is whole. It waits for a store that cannot be reached.
 *
 * @throws an AbortError: the signal ended the wait (rejects)
 */
export async function openClusterState(
  { state, clock, logger }: ClusterStateDependencies,
  { place, signal = new AbortController().signal }: ClusterStateOptions,
): Promise<ClusterState> {
  const copy = createStateCopy()
  const connection = createConnection(logger, place)
  let stop: (() => void) | undefined
  const present = new Promise<void>((resolve) => {
    stop = state.watch({
      ...copy.watcher,
      present(revision) {
        copy.watcher.present(revision)
        connection.found()
        resolve()
      },
      lost: connection.lost,
      found: connection.found,
    })
  })
  const cancel = clock.after(patienceMs, () => {
    logger.warn({ reason: connection.reason() }, `the start waits for the state of ${place}`)
  })
  try {
    await unlessAborted(present, signal)
  } catch (thrown) {
    stop?.()
    throw thrown
  } finally {
    cancel()
  }

  const refuseLost = () => {
    const reason = connection.reason()
    if (reason !== undefined) throw stateUnavailable(reason)
  }
  const caughtUp = createCatchUp({ state, clock, copy, refuseLost })
  const writer = createStateWriter({ state, clock, copy, refuseLost })

  return {
    place,
    view: (kind) => ({
      names: () => copy.names(kind),
      get: (name) => copy.get(keyOf(kind, name)),
      get version() {
        return copy.version(kind)
      },
      caughtUp,
      put: (name, value, revision) => writer.put(keyOf(kind, name), value, revision),
      remove: (name, revision) => writer.remove(keyOf(kind, name), revision),
      onChange: (listener) => copy.onChange(kind, listener),
    }),
    lostReason: connection.reason,
    close() {
      stop?.()
      copy.close()
    },
  }
}

/** Whether the store can be reached, logged once for each change. */
function createConnection(logger: ClusterStateDependencies['logger'], place: string) {
  let reason: string | undefined
  return {
    reason: () => reason,
    lost: (why: string): void => {
      const isNews = reason === undefined
      reason = why
      if (!isNews) return
      const text =
        `the state of ${place} cannot be reached: what is in force stays, and changes are ` +
        'refused until it can'
      logger.warn({ reason }, text)
    },
    found: (): void => {
      if (reason === undefined) return
      reason = undefined
      logger.info({}, `the state of ${place} can be reached again`)
    },
  }
}
