import type { Failure } from '../../aws/call/failure-class.ts'
import type { Clock } from '../../base/clock.ts'
import { retryDelayMs } from '../call/retry.ts'

/** The condition of a destination that refuses everything. */
interface Condition {
  readonly failure: Failure
  /** The number of refused calls. */
  readonly failures: number
  /** The time of the first refusal, in epoch milliseconds. */
  readonly firstMs: number
  /** The time of the first refusal by the monotonic clock. */
  readonly sinceMs: number
}

/**
 * Decides whether a destination may be called. While it backs off, no call starts. When the delay
 * is over, one call tries the destination, and after an answer all calls may start again.
 *
 * Calls that were in flight when the backoff began tell nothing new. Each call therefore carries
 * the generation in which it started, and only the first failure of a generation counts.
 */
export interface Backoff {
  /** How many calls may be in flight at `nowMs` (monotonic). */
  allowed(nowMs: number): number
  /** The generation of a call that starts now. The caller returns it with the call's outcome. */
  generation(): number
  /**
   * A call of this generation failed as a whole, for a reason that is not one of its records.
   *
   * @param retryAfterMs how long the service asks to be left alone
   */
  failed(generation: number, failureClass: 'passing' | 'destination', retryAfterMs?: number): void
  /** The destination refused a call by its own condition, which stands until a call is answered. */
  refused(failure: Failure): void
  /** A call was answered: the destination takes records, or refuses only some of them. */
  answered(): void
  /** Starts a new generation without a delay, because the missing stream exists now. */
  reset(): void
  /** The end of the delay (monotonic); 0 when there is none. */
  opensAtMs(): number
  /** Failures in a row. */
  failures(): number
  /** Undefined while the destination is not known to refuse everything. */
  condition(): Condition | undefined
}

/** A service that asks for more is tried again after this time all the same. */
const askedDelayMaxMs = 60_000

/** @param options `maxInFlight`: the number of calls in flight while the destination answers */
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
    failed(generation, failureClass, retryAfterMs = 0) {
      if (generation !== current) return
      failures += 1
      current += 1
      const ownMs = Math.ceil(retryDelayMs(failureClass, failures, random()))
      opensAtMs = clock.monotonicMs() + Math.max(ownMs, Math.min(retryAfterMs, askedDelayMaxMs))
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
