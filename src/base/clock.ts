/** The only source of time: tests hand in a clock that they move by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number
  /** Milliseconds since some beginning: for delays, which a wall clock that is set must not touch. */
  monotonicMs(): number
  /** Runs `callback` once after `delayMs`; the returned function cancels it. Keeps no process up. */
  after(delayMs: number, callback: () => void): () => void
  /** Resolves after `delayMs`, or as soon as `signal` aborts (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = Object.freeze({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
  sleep(delayMs: number, signal?: AbortSignal) {
    return new Promise<void>((resolve) => {
      if (signal?.aborted) return resolve()
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, delayMs)
      signal?.addEventListener('abort', finish, { once: true })
    })
  },
})
