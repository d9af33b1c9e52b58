/** What the browser keeps for a tab or for this site; until the page is left where it may not. */
export const tabStorage = storageOf(() => sessionStorage)
export const siteStorage = storageOf(() => localStorage)

type Kept = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear'>

function storageOf(open: () => Storage): Kept {
  try {
    return open()
  } catch {
    // Whoever forbids cookies forbids these as well.
    const values = new Map<string, string>()
    return {
      getItem: (name) => values.get(name) ?? null,
      setItem: (name, value) => void values.set(name, value),
      removeItem: (name) => void values.delete(name),
      clear: () => values.clear(),
    }
  }
}

/** @returns undefined for what is not there, or is no JSON */
export function readStored(storage: Kept, name: string): unknown {
  const text = storage.getItem(name)
  if (text === null) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
