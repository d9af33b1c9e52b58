import type { Clock } from '../../base/clock.ts'

/**
 * Limits how many messages one client may publish: `perSecond` in a second, and at most as many at
 * once. Further messages wait, and the client with them. The limit is a token bucket, stored as the
 * one time at which the bucket is full.
 */
export interface PublishRate {
  /** Whether a message may pass now; if not, `changed` is called when one may. */
  isReady(): boolean
  /** A message has passed. */
  take(): void
  /** `changed` is not called any more. */
  stop(): void
}

interface PublishRateDependencies {
  readonly clock: Clock
  readonly changed: () => void
}

const burstMs = 1_000
/** The shortest wait: a timer for each message would cost more than the messages. */
const pauseMinMs = 20

/** @param perSecond 0 is no limit */
export function createPublishRate(
  { clock, changed }: PublishRateDependencies,
  perSecond: number,
): PublishRate | undefined {
  if (perSecond === 0) return undefined
  const tokenMs = burstMs / perSecond
  let fullAtMs = clock.monotonicMs()
  let cancel: (() => void) | undefined

  function resume(): void {
    cancel = undefined
    changed()
  }

  return {
    isReady() {
      const waitMs = fullAtMs + tokenMs - clock.monotonicMs() - burstMs
      // Timers know no fractions of a millisecond, and neither do sums of them.
      if (waitMs < 1) return true
      cancel ??= clock.after(Math.max(Math.ceil(waitMs), pauseMinMs), resume)
      return false
    },
    take() {
      fullAtMs = Math.max(fullAtMs, clock.monotonicMs()) + tokenMs
    },
    stop() {
      cancel?.()
    },
  }
}
