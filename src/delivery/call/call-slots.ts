/** Places for calls, shared by all destinations, so that connections and memory stay bounded. */
export interface CallSlots {
  /** Takes a place; when there is none, `retry` is called once there is. */
  tryTake(retry: () => void): boolean
  release(): void
}

export function createCallSlots(slotsMax: number): CallSlots {
  let taken = 0
  const waiting = new Set<() => void>()
  return {
    tryTake(retry: () => void) {
      if (taken < slotsMax) {
        taken += 1
        return true
      }
      waiting.add(retry)
      return false
    },
    release() {
      taken -= 1
      // Who has nothing to send any more leaves the place to the next.
      for (const retry of waiting) {
        if (taken >= slotsMax) return
        waiting.delete(retry)
        retry()
      }
    },
  }
}
