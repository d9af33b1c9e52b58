import { useCallback, useEffect, useState } from 'preact/hooks'
import { asksForKey, UnreachableError } from '../api/engine.ts'

/** Something that was read from the engine: the last value stays while a later read fails. */
export interface Loaded<Value> {
  readonly value: Value | undefined
  readonly error: unknown
  /** When `value` was read, in epoch milliseconds. */
  readonly at: number
  readonly reload: () => void
}

/** What is read once is tried again so often while nobody answers. */
const againMs = 2_000

/**
 * Reads something when the page opens, again when `key` changes, and every `everyMs` if given. It
 * rests while nobody sees the tab, and goes on after an engine has started again.
 */
export function useLoaded<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  key: string,
  everyMs?: number,
): Loaded<Value> {
  const [state, setState] = useState<Omit<Loaded<Value>, 'reload'>>({
    value: undefined,
    error: undefined,
    at: 0,
  })
  const [count, setCount] = useState(0)
  useEffect(() => setState({ value: undefined, error: undefined, at: 0 }), [key])
  useEffect(() => {
    const ending = new AbortController()
    let timer: number | undefined
    let wasRead = false
    let isReading = false
    const run = async () => {
      // One that hangs must not become two when the tab is looked at again.
      if (isReading) return
      clearTimeout(timer)
      let nextMs = everyMs
      if (!document.hidden) {
        wasRead = true
        isReading = true
        try {
          const value = await load(ending.signal)
          if (ending.signal.aborted) return
          setState({ value, error: undefined, at: Date.now() })
        } catch (error) {
          if (ending.signal.aborted) return
          setState((before) => ({ ...before, error }))
          if (error instanceof UnreachableError || asksForKey(error)) {
            nextMs ??= againMs
            wasRead = false
          }
        } finally {
          isReading = false
        }
      }
      if (nextMs !== undefined) timer = window.setTimeout(() => void run(), nextMs)
    }
    const seen = () => {
      if (!document.hidden && (everyMs !== undefined || !wasRead)) void run()
    }
    void run()
    document.addEventListener('visibilitychange', seen)
    return () => {
      ending.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
    }
    // The function is made anew at each drawing; `key` says when it means something else.
  }, [key, everyMs, count])
  const reload = useCallback(() => setCount((before) => before + 1), [])
  return { ...state, reload }
}
