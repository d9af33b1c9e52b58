import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'

/**
 * Whose fault an answer is that says no more than that the endpoint failed. A web service that
 * cannot handle one record answers 500 to it, however often it is sent, and takes all others.
 *
 * - `endpoint`: the endpoint, as far as anybody knows. All of its records wait.
 * - `record`: this record waits, and others are sent meanwhile.
 * - `refused`: the endpoint has taken others for so long that it will never take this one.
 */
type Fault = 'endpoint' | 'record' | 'refused'

/** Tells a failure of an endpoint from the failure of one of its records. */
export interface RecordFaults {
  /**
   * The endpoint failed for the record.
   *
   * @param sequence undefined for what waits in no outbox
   */
  failed(sequence: number | undefined): Fault
  /** The endpoint took the record, or it is no longer sent. */
  done(sequence: number | undefined, wasTaken: boolean): void
}

interface Failing {
  failures: number
  /** By the monotonic clock. */
  readonly sinceMs: number
  /** Records that the endpoint had taken by then. */
  readonly takenBefore: number
}

/** Records whose failures are remembered; those of the others count anew. */
const recordsMax = 10_000
/** After so many failures in a row the next record is tried, because this one may be the cause. */
const failuresUntilOthers = 8
/** A deployment of the endpoint, or a short overload, must not give a record up. */
const refusedAfterMs = 300_000
const refusedAfterFailures = 10

export function createRecordFaults({ clock }: { readonly clock: Clock }): RecordFaults {
  const failing = createBoundedMap<number, Failing>(recordsMax)
  let taken = 0

  return {
    failed(sequence) {
      if (sequence === undefined) return 'endpoint'
      const nowMs = clock.monotonicMs()
      const known = failing.get(sequence) ?? { failures: 0, sinceMs: nowMs, takenBefore: taken }
      known.failures += 1
      failing.set(sequence, known)
      const takesOthers = taken > known.takenBefore
      if (!takesOthers) return known.failures % failuresUntilOthers === 0 ? 'record' : 'endpoint'
      const isLong = nowMs - known.sinceMs >= refusedAfterMs
      return isLong && known.failures >= refusedAfterFailures ? 'refused' : 'record'
    },
    done(sequence, wasTaken) {
      if (sequence !== undefined) failing.delete(sequence)
      if (wasTaken) taken += 1
    },
  }
}
