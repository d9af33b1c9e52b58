import type { Clock } from '../../../src/base/clock.ts'
import { AnswerLost, stateUnavailable } from '../../../src/cluster/state/shared-state.ts'
import type { LastValues } from '../../../src/cluster/state/last-values.ts'
import type {
  SharedState,
  StateEntry,
  StateWatcher,
} from '../../../src/cluster/state/shared-state.ts'

/** A store in memory that several nodes share, with the faults of a network. */
export interface MemoryStore {
  /** What one node sees of the store. */
  connect(): MemoryConnection
  /** The store is lost and made anew: it is empty, and its revisions begin again. */
  makeAnew(): void
  /** Entries by key, as they are. */
  readonly entries: ReadonlyMap<string, StateEntry>
}

export interface MemoryConnection extends SharedState, LastValues {
  readonly faults: ConnectionFaults
}

export interface ConnectionFaults {
  /** How long changes take to be told. */
  watchDelayMs: number
  /** The next writes are made, and their answers do not come. */
  answersLost: number
  /** The next writes do not arrive, and nobody tells. */
  requestsLost: number
  /** The reason while the node is cut off. */
  cut: string | undefined
  disconnect(reason?: string): void
  /** @param again whether the watch begins again, instead of telling what was missed */
  reconnect(again?: boolean): void
}

interface Change {
  readonly revision: number
  readonly key: string
  readonly entry: StateEntry | undefined
}

export function createMemoryStore(clock: Clock): MemoryStore {
  const entries = new Map<string, StateEntry>()
  let changes: Change[] = []
  let revision = 0
  /** Another one for each store that was made. */
  let store = Symbol('store')
  const followers = new Set<() => void>()

  function change(key: string, value: Uint8Array | undefined): number {
    revision += 1
    const entry = value && {
      key,
      value: Buffer.from(value),
      revision,
      writtenMs: clock.wallMs(),
    }
    if (entry) entries.set(key, entry)
    else entries.delete(key)
    changes.push({ revision, key, entry })
    for (const follow of followers) follow()
    return revision
  }

  function connect(): MemoryConnection {
    const watches = new Set<Watch>()
    const faults: ConnectionFaults = {
      watchDelayMs: 0,
      answersLost: 0,
      requestsLost: 0,
      cut: undefined,
      disconnect(reason = 'it was cut off') {
        faults.cut = reason
        for (const { watcher } of watches) watcher.lost(reason)
      },
      reconnect(again = false) {
        faults.cut = undefined
        for (const watch of watches) {
          watch.watcher.found()
          if (again) watch.beginAgain()
          watch.follow()
        }
      },
    }
    const answered = async <Result>(ask: () => Result): Promise<Result> => {
      await Promise.resolve()
      if (faults.cut !== undefined) throw stateUnavailable(faults.cut)
      return ask()
    }
    const written = <Result>(write: () => Result): Promise<Result> =>
      answered(() => {
        if (faults.requestsLost > 0) {
          faults.requestsLost -= 1
          throw new AnswerLost('the request was lost')
        }
        const result = write()
        if (faults.answersLost === 0) return result
        faults.answersLost -= 1
        throw new AnswerLost('the answer was lost')
      })

    return {
      faults,
      get: (key) => answered(() => entries.get(key)),
      create: (key, value) => written(() => (entries.has(key) ? undefined : change(key, value))),
      put: (key, value, before) =>
        written(() => (entries.get(key)?.revision === before ? change(key, value) : undefined)),
      set: (key, value) => written(() => change(key, value)),
      unset: (key) => written(() => change(key, undefined)),
      delete: (key, before) =>
        written(() => {
          if (entries.get(key)?.revision !== before) return false
          change(key, undefined)
          return true
        }),
      lastRevision: () => answered(() => revision),
      watch(watcher) {
        const watch = createWatch(watcher)
        watches.add(watch)
        followers.add(watch.follow)
        if (faults.cut === undefined) watch.follow()
        else watcher.lost(faults.cut)
        return () => {
          watches.delete(watch)
          followers.delete(watch.follow)
          watch.stop()
        }
      },
    }

    interface Watch {
      readonly watcher: StateWatcher
      readonly follow: () => void
      readonly beginAgain: () => void
      readonly stop: () => void
    }

    function createWatch(watcher: StateWatcher): Watch {
      let seen: symbol | undefined
      let position = 0
      let isStopped = false
      let isPlanned = false

      function tell(): void {
        isPlanned = false
        if (isStopped || faults.cut !== undefined) return
        if (seen !== store) {
          seen = store
          position = changes.length
          watcher.begin()
          for (const entry of entries.values()) watcher.entry(entry)
          watcher.present(revision)
        }
        while (position < changes.length) {
          const next = changes[position++]
          if (next === undefined) continue
          if (next.entry) watcher.entry(next.entry)
          else watcher.deleted(next.key, next.revision)
        }
      }
      return {
        watcher,
        follow() {
          if (isPlanned) return
          isPlanned = true
          if (faults.watchDelayMs === 0) queueMicrotask(tell)
          else clock.after(faults.watchDelayMs, tell)
        },
        beginAgain() {
          seen = undefined
        },
        stop() {
          isStopped = true
        },
      }
    }
  }

  return {
    connect,
    entries,
    makeAnew() {
      entries.clear()
      changes = []
      revision = 0
      store = Symbol('store')
      for (const follow of followers) follow()
    },
  }
}
