/**
 * Slots for calls, shared by all destinations, so that connections and memory stay bounded.
 *
 * The call that tries a destination after a failure is a trial: it may hold its slot until it times
 * out. Trials have a part of the slots, so that many destinations that do not answer leave slots
 * for those that do, and they have a small part for themselves, so that each destination is tried
 * again.
 */
export interface CallSlots {
  /** Takes a slot. When none is free, returns false and calls `retry` once there is one. */
  tryTake(retry: () => void, isTrial: boolean): boolean
  /** @param isTrial what the slot was taken for */
  release(isTrial: boolean): void
}

const trialShare = 1 / 2
const trialShareMin = 1 / 8

export function createCallSlots(slotsMax: number): CallSlots {
  const trialsMax = Math.max(1, Math.floor(slotsMax * trialShare))
  const trialsMin = Math.max(1, Math.floor(slotsMax * trialShareMin))
  const taken = { calls: 0, trials: 0 }
  const waiting = { calls: new Set<() => void>(), trials: new Set<() => void>() }

  const hasTrial = (trials: number) => taken.calls < slotsMax && taken.trials < trials

  return {
    tryTake(retry, isTrial) {
      if (isTrial ? hasTrial(trialsMax) : taken.calls < slotsMax) {
        taken.calls += 1
        if (isTrial) taken.trials += 1
        return true
      }
      waiting[isTrial ? 'trials' : 'calls'].add(retry)
      return false
    },
    release(isTrial) {
      taken.calls -= 1
      if (isTrial) taken.trials -= 1
      callWaiting(waiting.trials, () => hasTrial(trialsMin))
      callWaiting(waiting.calls, () => taken.calls < slotsMax)
      callWaiting(waiting.trials, () => hasTrial(trialsMax))
    },
  }
}

/** A destination that has nothing left to send leaves the slot to the next one. */
function callWaiting(retries: Set<() => void>, isFree: () => boolean): void {
  for (const retry of retries) {
    if (!isFree()) return
    retries.delete(retry)
    retry()
  }
}
