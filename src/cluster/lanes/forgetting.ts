import type { Clock } from '../../base/clock.ts'
import type { ReplicatedLog, Watermarks } from '../log/replicated-log.ts'

/** Settled chunks are removed from the log so often: each removal costs its servers much. */
const forgetMs = 5_000

/** Removes settled chunks from the log now and then. */
export function createForgetting(
  { log, clock }: { readonly log: Pick<ReplicatedLog, 'forget'>; readonly clock: Clock },
  lane: number,
  forgotten: (upTo: Watermarks) => void,
) {
  const done = new Map<string, number>()
  let wanted: Watermarks = {}
  let cancel: (() => void) | undefined
  let isRunning = false
  let isEnded = false

  async function forget(): Promise<void> {
    cancel = undefined
    const moved = Object.entries(wanted).filter(([token, sequence]) => done.get(token) !== sequence)
    if (moved.length === 0) return
    isRunning = true
    const upTo = Object.fromEntries(moved)
    try {
      await log.forget(lane, upTo)
      for (const [token, sequence] of moved) done.set(token, sequence)
      for (const token of done.keys()) if (wanted[token] === undefined) done.delete(token)
      forgotten(upTo)
    } catch {
      // The log is closed: the next owner removes them.
    }
    isRunning = false
    may(wanted)
  }

  function may(watermarks: Watermarks): void {
    wanted = watermarks
    if (isEnded || isRunning || cancel !== undefined) return
    const isMoved = Object.entries(wanted).some(([token, sequence]) => done.get(token) !== sequence)
    if (isMoved) cancel = clock.after(forgetMs, () => void forget())
  }

  return {
    may,
    end(): void {
      isEnded = true
      cancel?.()
    },
  }
}
