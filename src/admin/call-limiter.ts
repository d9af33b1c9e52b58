import type { Clock } from '../clock.ts'

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

/** What sums of times may be off by: the last call of a second's worth is not to fail by it. */
const roundingMs = 0.5

export function createCallLimiter(
  { clock }: { readonly clock: Pick<Clock, 'monotonicMs'> },
  { callsPerSecond, callersMax }: CallLimiterOptions,
): CallLimiter {
  const periodMs = 1_000
  const callMs = periodMs / callsPerSecond
  /** When all calls of a caller will be paid for. */
  const paidAtMs = new Map<string, number>()
  return {
    take(caller) {
      const nowMs = clock.monotonicMs()
      const paidAt = Math.max(paidAtMs.get(caller) ?? nowMs, nowMs)
      const waitMs = Math.ceil(paidAt - nowMs + callMs - periodMs - roundingMs)
      if (waitMs > 0) return waitMs
      paidAtMs.delete(caller)
      paidAtMs.set(caller, paidAt + callMs)
      const [oldest] = paidAtMs.keys()
      if (paidAtMs.size > callersMax && oldest !== undefined) paidAtMs.delete(oldest)
      return 0
    },
  }
}
