import type { Clock } from '../../src/base/clock.ts'

/** The clock of one node of several in this process, which can be frozen as by SIGSTOP. */
export interface NodeClock extends Clock {
  /** Nothing becomes due any more; time goes on. */
  freeze(): void
  /** Runs what became due meanwhile. */
  thaw(): void
  isFrozen(): boolean
  /** Runs `work` now, or at the thaw. */
  whenAwake(work: () => void): void
  /** Nothing becomes due ever again: the process was killed. */
  kill(): void
  readonly killed: Promise<void>
  isKilled(): boolean
}

/** @param wallAheadMs how far the time of day of this node is ahead of that of `clock` */
export function createNodeClock(clock: Clock, wallAheadMs = 0): NodeClock {
  let isFrozen = false
  let isKilled = false
  let held: (() => void)[] = []
  let die!: () => void
  const dying = new Promise<void>((resolve) => {
    die = resolve
  })

  function whenAwake(work: () => void): void {
    if (isKilled) return
    if (isFrozen) held.push(work)
    else work()
  }

  function after(delayMs: number, callback: () => void): () => void {
    let isCancelled = false
    const cancel = clock.after(delayMs, () => {
      whenAwake(() => {
        if (!isCancelled) callback()
      })
    })
    return () => {
      isCancelled = true
      cancel()
    }
  }

  return {
    wallMs: () => clock.wallMs() + wallAheadMs,
    monotonicMs: () => clock.monotonicMs(),
    after,
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const finish = () => {
          cancel()
          signal?.removeEventListener('abort', finish)
          resolve()
        }
        const cancel = after(delayMs, finish)
        signal?.addEventListener('abort', finish, { once: true })
      }),
    freeze() {
      isFrozen = true
    },
    thaw() {
      isFrozen = false
      const due = held
      held = []
      for (const work of due) whenAwake(work)
    },
    isFrozen: () => isFrozen,
    whenAwake,
    killed: dying,
    kill() {
      isKilled = true
      die()
      held = []
    },
    isKilled: () => isKilled,
  }
}
