import type { Clock } from '../../base/clock.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * How often somebody may call. A second's worth of calls may come at once; after that they are let
 * through one by one, as the time of each is over.
 *
 * Memory is bounded: of too many callers the one that called longest ago is forgotten.
 */
export interface CallLimiter {
  /**
   * Counts a call that may be made.
   *
   * @returns milliseconds until the caller may call again; 0: now
   */
  take(caller: string): number
}

export interface CallLimiterOptions {
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
