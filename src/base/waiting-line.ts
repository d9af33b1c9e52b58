/** Callers that wait for something that one of them can have at a time; the caller bounds them. */
export interface WaitingLine {
  /** @returns whether the caller was woken; false when `signal` aborted first */
  wait(signal: AbortSignal): Promise<boolean>
  /** Wakes the caller that has waited longest. @returns whether there was one */
  wakeNext(): boolean
}

export function createWaitingLine(): WaitingLine {
  const waiting = new Set<() => void>()
  return {
    wait: (signal) =>
      new Promise((resolve) => {
        const leave = () => {
          waiting.delete(wake)
          resolve(false)
        }
        const wake = () => {
          waiting.delete(wake)
          signal.removeEventListener('abort', leave)
          resolve(true)
        }
        if (signal.aborted) return resolve(false)
        waiting.add(wake)
        signal.addEventListener('abort', leave, { once: true })
      }),
    wakeNext() {
      const [next] = waiting
      next?.()
      return next !== undefined
    },
  }
}
