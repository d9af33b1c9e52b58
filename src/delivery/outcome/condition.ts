import type { Clock } from '../../base/clock.ts'
import type { Failure } from '../../aws/kinesis-calls.ts'

/** That a destination refuses everything, and since when. */
export interface Condition {
  readonly failure: Failure
  /** Calls that were refused. */
  readonly failures: number
  /** The first refusal, in epoch milliseconds. */
  readonly firstMs: number
  /** The first refusal, by the clock's `monotonicMs`. */
  readonly sinceMs: number
}

export interface ConditionWatch {
  refused(failure: Failure): void
  /** A call was answered: the destination takes records, or speaks of single ones. */
  over(): void
  current(): Condition | undefined
}

export function createConditionWatch({ clock }: { readonly clock: Clock }): ConditionWatch {
  let current: Condition | undefined
  return Object.freeze({
    refused(failure: Failure) {
      const { failures, firstMs, sinceMs } = current ?? {
        failures: 0,
        firstMs: clock.nowMs(),
        sinceMs: clock.monotonicMs(),
      }
      current = { failure, failures: failures + 1, firstMs, sinceMs }
    },
    over() {
      current = undefined
    },
    current: () => current,
  })
}
