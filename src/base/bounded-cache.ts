/** Remembers results of a pure function, the most recently used ones. */
export interface BoundedCache<Key, Value> {
  /** What is kept for the key, else what `create` makes of it, which is kept from then on. */
  get(key: Key, create: (key: Key) => Value): Value
}

/** @param entriesMax entries that are kept; the one not used for longest makes room */
export function createBoundedCache<Key, Value>(entriesMax: number): BoundedCache<Key, Value> {
  // A Map keeps the order of insertion; an entry that is used moves to the end.
  const entries = new Map<Key, { readonly value: Value }>()
  let latestKey: Key | undefined
  let latest: { readonly value: Value } | undefined
  return {
    get(key, create) {
      if (latest !== undefined && latestKey === key) return latest.value
      let entry = entries.get(key)
      if (entry === undefined) {
        entry = { value: create(key) }
        for (const oldest of entries.keys()) {
          if (entries.size < entriesMax) break
          entries.delete(oldest)
        }
      } else {
        entries.delete(key)
      }
      entries.set(key, entry)
      latestKey = key
      latest = entry
      return entry.value
    },
  }
}
