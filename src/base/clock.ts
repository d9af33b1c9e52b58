/**
 * The only source of time: tests hand in a clock that they move by hand.
 *
 * It has two readings. The time of day is what people read, and what is stored; it is set, forward
 * and back, while the process runs. A duration inside the process is the difference of two
 * monotonic readings, and never of two times of day (docs/decisions/0026-two-readings-of-time.md).
 */
export interface Clock {
  /** The time of day: milliseconds since the Unix epoch, as the machine has it now. */
  wallMs(): number
  /** Milliseconds since some moment before the process began to use it; never set, never back. */
  monotonicMs(): number
  /**
   * Runs `callback` once after `delayMs`; the returned function cancels it. Keeps no process up.
   * If the process stood still meanwhile, what has arrived for it is read before the callback runs.
   */
  after(delayMs: number, callback: () => void): () => void
  /** Resolves after `delayMs`, or as soon as `signal` aborts (it never rejects). */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

/**
 * A timer this late says that the process was stopped, suspended or busy. Node runs timers before it
 * reads from sockets, so that a timeout would find silence where bytes are waiting to be read.
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
      // Immediates run after the sockets that are readable now were read.
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
