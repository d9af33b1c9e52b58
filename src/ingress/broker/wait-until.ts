/** Waits for a condition that is looked at again in each turn in which something happened. */
export interface Signal {
  /** Something happened. */
  readonly raise: () => void
  /** Resolves once the condition holds, or when the time is up. */
  until(condition: () => boolean, timeUp: AbortSignal): Promise<void>
}

export function createSignal(): Signal {
  const listeners = new Set<() => void>()
  let isPlanned = false
  const lookAll = () => {
    isPlanned = false
    listeners.forEach((look) => look())
  }
  return {
    raise: () => {
      if (listeners.size === 0 || isPlanned) return
      isPlanned = true
      setImmediate(lookAll)
    },
    until: (condition, timeUp) =>
      new Promise((resolve) => {
        const look = () => {
          if (!condition() && !timeUp.aborted) return
          listeners.delete(look)
          timeUp.removeEventListener('abort', look)
          resolve()
        }
        listeners.add(look)
        timeUp.addEventListener('abort', look)
        look()
      }),
  }
}
