/**
 * The only source of time: tests pass a clock that they control.
 *
 * It has two readings. The time of day is for people and for storage; it may be set forward and
 * back while the process runs. A duration inside the process is the difference of two monotonic
 * readings, and never of two times of day (docs/decisions/0026-two-readings-of-time.md).
 */
export interface Clock {
  /** The machine's time of day, in milliseconds since the Unix epoch. */
  wallMs(): number
  /** Milliseconds since an arbitrary moment; the reading never goes back. */
  monotonicMs(): number
  /**
   * Runs `callback` once after `delayMs`; the returned function cancels it. The timer does not keep
   * the process running. After a pause of the process, sockets are read before the callback runs.
   */
  after(delayMs: number, callback: () => void): () => void
  /** Resolves after `delayMs`, or as soon as `signal` aborts (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

/**
 * A timer that is this late shows that the process was stopped, suspended or busy. Node runs timers
 * before it reads from sockets, so a timeout would see silence although bytes are waiting.
 */
export const lateMs = 100

export const systemClock: Clock = Object.freeze({
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, callback: () => void) {
    const dueMs = performance.now() + delayMs
    let reading: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      if (performance.now() - dueMs < lateMs) return callback()
      // Immediates run after all readable sockets have been read.
      reading = setImmediate(callback)
      reading.unref()
    }, delayMs)
    timer.unref()
    return () => {
      clearTimeout(timer)
      clearImmediate(reading)
    }
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
