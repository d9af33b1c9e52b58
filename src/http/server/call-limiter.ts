import type { Clock } from '../../base/clock.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * Limits how often each caller may call. The calls of one second may come at once; further calls
 * are let through one by one, at the rate of the limit.
 *
 * Memory is bounded: beyond `callersMax` the caller that has been silent longest is forgotten.
 */
export interface CallLimiter {
  /**
   * Counts a call, unless it is over the limit.
   *
   * @returns milliseconds until the caller may call; 0 when the call may be made now
   */
  take(caller: string): number
}

interface CallLimiterOptions {
  readonly callsPerSecond: number
  readonly callersMax: number
}

export function createCallLimiter(
  { clock }: { readonly clock: Pick<Clock, 'monotonicMs'> },
  { callsPerSecond, callersMax }: CallLimiterOptions,
): CallLimiter {
  const buckets = createTokenBuckets({
    tokens: callsPerSecond,
    windowMs: 1_000,
    keysMax: callersMax,
  })
  return {
    take(caller) {
      const nowMs = clock.monotonicMs()
      const waitMs = buckets.waitMs(caller, nowMs)
      if (waitMs === 0) buckets.take(caller, nowMs)
      return waitMs
    },
  }
}
