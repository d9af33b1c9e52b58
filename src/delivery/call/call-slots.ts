import type { CallLimits } from './outgoing.ts'

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

/**
 * Bytes of data in the calls of one destination and of all: a call is encoded several times over,
 * and records that share their data in memory do not share it in a call.
 */
const destinationBytesMax = 16 * 1024 * 1024
const totalBytesMax = 96 * 1024 * 1024
/** A destination without calls in flight may always send this much, whatever the others hold. */
const bytesAlways = 64 * 1024

/** The bytes in flight of all destinations. */
export interface TotalInFlight {
  bytes: number
}

/** The bytes in flight of one destination. */
export interface BytesInFlight {
  /** The limits of the next call; undefined: it has to wait for an answer of this destination. */
  limits(limits: CallLimits): CallLimits | undefined
  started(bytes: number): void
  ended(bytes: number): void
}

export function createBytesInFlight(total: TotalInFlight): BytesInFlight {
  let own = 0
  return {
    limits(given) {
      if (own >= destinationBytesMax) return undefined
      if (total.bytes < totalBytesMax) return given
      return own > 0 ? undefined : { ...given, bytesMax: Math.min(given.bytesMax, bytesAlways) }
    },
    started(bytes) {
      own += bytes
      total.bytes += bytes
    },
    ended(bytes) {
      own -= bytes
      total.bytes -= bytes
    },
  }
}
