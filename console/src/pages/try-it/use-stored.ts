import { useCallback, useState } from 'preact/hooks'

/** A value that stays while the tab is open, as far as the browser has room for it. */
export function useStored<Value>(
  name: string,
  first: Value,
): readonly [Value, (value: Value) => void] {
  const [value, setValue] = useState<Value>(() => {
    const text = sessionStorage.getItem(name)
    return text === null ? first : (JSON.parse(text) as Value)
  })
  const store = useCallback(
    (next: Value) => {
      setValue(next)
      try {
        sessionStorage.setItem(name, JSON.stringify(next))
      } catch {
        // It is too long to be kept; the page still has it.
        sessionStorage.removeItem(name)
      }
    },
    [name],
  )
  return [value, store]
}
