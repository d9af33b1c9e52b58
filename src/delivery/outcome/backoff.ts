import type { Failure } from '../../aws/failure-class.ts'
import type { Clock } from '../../base/clock.ts'
import { retryDelayMs } from '../call/retry.ts'

/** That a destination refuses everything, and since when. */
interface Condition {
  readonly failure: Failure
  /** Calls that were refused. */
  readonly failures: number
  /** The first refusal, in epoch milliseconds. */
  readonly firstMs: number
  /** The first refusal, by the clock's `monotonicMs`. */
  readonly sinceMs: number
}

/**
 * Whether a destination may be called. No call starts while it backs off; one call tries the
 * destination when the delay is over, and all may start again once a call was answered.
 *
 * Calls that were in flight when the backoff began tell nothing new: each call carries the
 * generation in which it was started, and only the first failure of a generation counts, however
 * many were in flight.
 */
export interface Backoff {
  /** How many calls may be in flight at `nowMs`, by the clock's `monotonicMs`. */
  allowed(nowMs: number): number
  /** The generation of a call that starts now, to be handed back with its outcome. */
  generation(): number
  /** A call that started in this generation failed for a reason that is not its records'. */
  failed(generation: number, failureClass: 'passing' | 'destination'): void
  /** The destination refused a call for what it is itself: its condition stands until an answer. */
  refused(failure: Failure): void
  /** A call was answered: the destination takes records, or refuses single ones. */
  answered(): void
  /** Begins a generation without a delay: what was missing is there now. */
  reset(): void
  /** When the delay is over; 0 when there is none. */
  opensAtMs(): number
  /** Failures in a row. */
  failures(): number
  /** Undefined while the destination is not known to refuse everything. */
  condition(): Condition | undefined
}

/** @param options `maxInFlight`: calls that a destination in good order may have in flight */
export function createBackoff(
  { clock, random }: { readonly clock: Clock; readonly random: () => number },
  { maxInFlight }: { readonly maxInFlight: number },
): Backoff {
  let failures = 0
  let opensAtMs = 0
  let current = 0
  let condition: Condition | undefined

  function reset(): void {
    failures = 0
    opensAtMs = 0
    current += 1
  }

  return {
    allowed(nowMs) {
      if (nowMs < opensAtMs) return 0
      return failures > 0 ? 1 : maxInFlight
    },
    generation: () => current,
    failed(generation, failureClass) {
      if (generation !== current) return
      failures += 1
      current += 1
      opensAtMs = clock.monotonicMs() + Math.ceil(retryDelayMs(failureClass, failures, random()))
    },
    refused(failure) {
      const {
        failures: before,
        firstMs,
        sinceMs,
      } = condition ?? {
        failures: 0,
        firstMs: clock.wallMs(),
        sinceMs: clock.monotonicMs(),
      }
      condition = { failure, failures: before + 1, firstMs, sinceMs }
    },
    answered() {
      if (failures > 0) reset()
      condition = undefined
    },
    reset,
    opensAtMs: () => opensAtMs,
    failures: () => failures,
    condition: () => condition,
  }
}
