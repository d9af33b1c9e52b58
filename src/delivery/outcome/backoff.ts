import type { Clock } from '../../base/clock.ts'
import { retryDelayMs } from '../../aws/retry.ts'

/**
 * Whether a destination may be called. It closes when a call failed for a reason that is not the
 * records', opens after the backoff for one call, and fully once a call was answered.
 *
 * Calls that were under way when it closed tell nothing new: each call carries the round in which
 * it was begun, and only the first failure of a round counts, however many were in flight.
 */
export interface Gate {
  /** How many calls may be in flight at `nowMs`, by the clock's `monotonicMs`. */
  allowed(nowMs: number): number
  /** To be handed back with the outcome of a call that begins now. */
  round(): number
  failed(round: number, failureClass: 'passing' | 'destination'): void
  answered(): void
  /** Begins a round without waiting: what was missing is there now. */
  reset(): void
  /** When it opens; 0 while it is open. */
  opensAtMs(): number
  /** Failures in a row. */
  failures(): number
}

export function createGate(
  { clock, random }: { readonly clock: Clock; readonly random: () => number },
  { maxInFlight }: { readonly maxInFlight: number },
): Gate {
  let failures = 0
  let opensAtMs = 0
  let current = 0

  function reset(): void {
    failures = 0
    opensAtMs = 0
    current += 1
  }

  return Object.freeze({
    allowed(nowMs: number) {
      if (nowMs < opensAtMs) return 0
      return failures > 0 ? 1 : maxInFlight
    },
    round: () => current,
    failed(round: number, failureClass: 'passing' | 'destination') {
      if (round !== current) return
      failures += 1
      current += 1
      opensAtMs = clock.monotonicMs() + Math.ceil(retryDelayMs(failureClass, failures, random()))
    },
    answered() {
      if (failures > 0) reset()
    },
    reset,
    opensAtMs: () => opensAtMs,
    failures: () => failures,
  })
}
