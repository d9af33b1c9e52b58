import { useCallback, useState } from 'preact/hooks'
import { readStored, tabStorage } from '../../api/storage.ts'

/** A value that stays while the tab is open, as far as the browser has room for it. */
export function useStored<Value>(
  name: string,
  first: Value,
): readonly [Value, (value: Value) => void] {
  const [value, setValue] = useState<Value>(
    () => (readStored(tabStorage, name) as Value | undefined) ?? first,
  )
  const store = useCallback(
    (next: Value) => {
      setValue(next)
      try {
        tabStorage.setItem(name, JSON.stringify(next))
      } catch {
        // It is too long to be kept; the page still has it.
        tabStorage.removeItem(name)
      }
    },
    [name],
  )
  return [value, store]
}
