import { nameOfKey } from './shared-state.ts'
import type { StateEntry, StateWatcher } from './shared-state.ts'

/**
 * A copy of all entries, which a watch and the writes of this node keep up to date.
 *
 * It never goes back: a change that is older than what the copy holds of its key is passed over.
 * The exception is a store that was made anew or put back from a backup, whose revisions begin
 * below those that were seen: the copy then becomes what that store holds.
 */
export interface StateCopy {
  readonly watcher: Pick<StateWatcher, 'begin' | 'entry' | 'deleted' | 'present'>
  get(key: string): StateEntry | undefined
  /** The names of a kind, sorted. */
  readonly names: (kind: string) => readonly string[]
  /** Rises with each change of an entry of this kind. */
  readonly version: (kind: string) => number
  /** A write of this node. */
  set(entry: StateEntry): void
  /**
   * A deletion of this node.
   *
   * @param before the revision that was deleted
   */
  unset(key: string, before: number): void
  /** @returns stops it */
  readonly onChange: (kind: string, listener: (name: string) => void) => () => void
  isApplied(revision: number): boolean
  /**
   * Calls `reached` once everything up to the revision is in the copy.
   *
   * @returns gives it up
   */
  readonly whenApplied: (revision: number, reached: () => void) => () => void
  readonly close: () => void
}

export function createStateCopy(): StateCopy {
  const { entries, put, remove, kinds } = createEntries()
  const progress = createProgress()
  /** Entries that this node deleted, and that the watch may still tell: their revisions. */
  const deletedHere = new Map<string, number>()
  /** What the watch has told since it began; undefined once it has told everything. */
  let told: Map<string, StateEntry> | undefined

  const revisionOf = (key: string) => entries.get(key)?.revision ?? deletedHere.get(key) ?? 0

  function putNewer(entry: StateEntry): void {
    if (entry.revision <= revisionOf(entry.key)) return
    deletedHere.delete(entry.key)
    put(entry)
  }
  function advance(revision: number): void {
    for (const [key, at] of deletedHere) if (at <= revision) deletedHere.delete(key)
    progress.advance(revision)
  }
  /** @param isOther whether the store is not the one that was seen before */
  function replaceAll(by: ReadonlyMap<string, StateEntry>, revision: number, isOther: boolean) {
    if (isOther) deletedHere.clear()
    for (const entry of by.values()) {
      if (isOther) put(entry)
      else putNewer(entry)
    }
    for (const { key, revision: own } of entries.values()) {
      // A write of this node may be newer than what was told.
      if (!by.has(key) && (isOther || own <= revision)) remove(key)
    }
  }

  return {
    watcher: {
      begin() {
        told = new Map()
      },
      entry(entry) {
        if (told) {
          told.set(entry.key, entry)
          return
        }
        putNewer(entry)
        advance(entry.revision)
      },
      deleted(key, revision) {
        if (told) {
          told.delete(key)
          return
        }
        if (revision > revisionOf(key)) remove(key)
        advance(revision)
      },
      present(revision) {
        if (told) replaceAll(told, revision, revision < progress.applied())
        told = undefined
        advance(revision)
      },
    },
    get: (key) => entries.get(key),
    names: kinds.names,
    version: kinds.version,
    set(entry) {
      // Otherwise the watch has told it, or what came after it.
      if (entry.revision > progress.applied()) putNewer(entry)
    },
    unset(key, before) {
      if (revisionOf(key) > before) return
      if (before > progress.applied() || told) deletedHere.set(key, before)
      remove(key)
    },
    onChange: kinds.onChange,
    isApplied: (revision) => revision <= progress.applied(),
    whenApplied: progress.whenApplied,
    close: kinds.close,
  }
}

/** The entries by key; listeners are told of each change of a value. */
function createEntries() {
  const entries = new Map<string, StateEntry>()
  const kinds = createKinds(() => entries.keys())
  return {
    entries,
    kinds,
    put: (entry: StateEntry): void => {
      const before = entries.get(entry.key)
      entries.set(entry.key, entry)
      if (before?.value.equals(entry.value) !== true) kinds.changed(entry.key, !before)
    },
    remove: (key: string): void => {
      if (entries.delete(key)) kinds.changed(key, true)
    },
  }
}

/** Up to which revision the copy holds everything, and who waits for that. */
function createProgress() {
  const waiting = new Set<{ readonly revision: number; readonly reached: () => void }>()
  let applied = 0
  return {
    applied: () => applied,
    advance(revision: number): void {
      applied = revision
      for (const waiter of waiting) {
        if (waiter.revision > applied) continue
        waiting.delete(waiter)
        waiter.reached()
      }
    },
    whenApplied: (revision: number, reached: () => void): (() => void) => {
      const waiter = { revision, reached }
      waiting.add(waiter)
      return () => waiting.delete(waiter)
    },
  }
}

/** The names, versions and listeners of each kind of entry. */
function createKinds(keys: () => Iterable<string>) {
  const listeners = new Map<string, Set<(name: string) => void>>()
  const versions = new Map<string, number>()
  const sorted = new Map<string, readonly string[]>()

  return {
    changed(key: string, isListChanged: boolean): void {
      const kind = key.slice(0, key.indexOf('.'))
      versions.set(kind, (versions.get(kind) ?? 0) + 1)
      if (isListChanged) sorted.delete(kind)
      const name = nameOfKey(kind, key)
      if (name === undefined) return
      for (const listener of listeners.get(kind) ?? []) listener(name)
    },
    names: (kind: string): readonly string[] => {
      let names = sorted.get(kind)
      if (!names) {
        const all = [...keys()].map((key) => nameOfKey(kind, key))
        names = all.filter((name) => name !== undefined).toSorted()
        sorted.set(kind, names)
      }
      return names
    },
    version: (kind: string) => versions.get(kind) ?? 0,
    onChange: (kind: string, listener: (name: string) => void): (() => void) => {
      const own = listeners.get(kind) ?? new Set()
      listeners.set(kind, own.add(listener))
      return () => own.delete(listener)
    },
    close: () => listeners.clear(),
  }
}
