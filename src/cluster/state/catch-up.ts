import type { Clock } from '../../base/clock.ts'
import { stateUnavailable } from './shared-state.ts'
import type { SharedState } from './shared-state.ts'
import type { StateCopy } from './state-copy.ts'

interface CatchUpDependencies {
  readonly state: Pick<SharedState, 'lastRevision'>
  readonly clock: Pick<Clock, 'after'>
  readonly copy: Pick<StateCopy, 'isApplied' | 'whenApplied'>
  /** Throws when the store cannot be reached. */
  readonly refuseLost: () => void
}

/** How long to wait for a change that the store has and the watch has not told. */
const catchUpMs = 5_000

/**
 * @returns a function that resolves when the copy holds every change that was made before the call,
 *   by any node. Calls share a question to the store, unless it was asked before they came. It
 *   rejects with SluiceError ServiceUnavailableException.
 */
export function createCatchUp({ state, clock, copy, refuseLost }: CatchUpDependencies) {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function ask(): Promise<void> {
    refuseLost()
    const revision = await state.lastRevision()
    if (copy.isApplied(revision)) return
    await new Promise<void>((resolve, reject) => {
      const cancel = clock.after(catchUpMs, () => {
        giveUp()
        reject(stateUnavailable(`its changes were not told within ${catchUpMs / 1_000} s`))
      })
      const giveUp = copy.whenApplied(revision, () => {
        cancel()
        resolve()
      })
    })
  }
  function begin(): Promise<void> {
    next = undefined
    const asked = ask().finally(() => {
      if (running === asked) running = undefined
    })
    running = asked
    return asked
  }

  return (): Promise<void> => {
    if (running === undefined) return begin()
    next ??= running.then(begin, begin)
    return next
  }
}
