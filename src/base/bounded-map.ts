/** A map of at most so many entries: of too many, the oldest is forgotten. */
export interface BoundedMap<Key, Value> {
  readonly size: number
  get(key: Key): Value | undefined
  has(key: Key): boolean
  /** The entry becomes the newest, also where the key was known. */
  set(key: Key, value: Value): void
  delete(key: Key): void
  /** From the oldest to the newest. */
  values(): Iterable<Value>
  /**
   * What is kept for the key, else what `make` gives, which is kept from then on. The entry becomes
   * the newest: with this call alone the map keeps what was used last.
   */
  getOrMake(key: Key, make: (key: Key) => Value): Value
}

/** @param entriesMax entries that are kept, at least one */
export function createBoundedMap<Key, Value>(entriesMax: number): BoundedMap<Key, Value> {
  // A Map keeps the order of insertion: the first entry is the oldest.
  const entries = new Map<Key, Value>()
  /** The newest entry, so that asking for it again and again moves nothing. */
  let newest: { readonly key: Key; readonly value: Value } | undefined

  function set(key: Key, value: Value): void {
    entries.delete(key)
    entries.set(key, value)
    newest = { key, value }
    if (entries.size <= entriesMax) return
    for (const oldest of entries.keys()) {
      entries.delete(oldest)
      return
    }
  }

  return {
    get size() {
      return entries.size
    },
    get: (key) => entries.get(key),
    has: (key) => entries.has(key),
    set,
    delete(key) {
      entries.delete(key)
      if (newest?.key === key) newest = undefined
    },
    values: () => entries.values(),
    getOrMake(key, make) {
      if (newest !== undefined && newest.key === key) return newest.value
      const known = entries.get(key)
      const value = known !== undefined || entries.has(key) ? (known as Value) : make(key)
      set(key, value)
      return value
    },
  }
}
