/**
 * Computes how old records are, also when the time of day is set while they wait.
 *
 * On disk a record has the time of day of its acceptance, for people and for a later process. Its
 * age is measured by the monotonic clock. The difference between the two clocks changes only when
 * the time of day is set, so it is enough to remember from which sequence on which difference held.
 * The age of a record of an earlier process is its age at the start, by the time of day then, plus
 * the monotonic time since the start.
 *
 *     sequence   ..41 | 42 ............ 96 | 97 .....
 *     wall ahead  --- | 1,700,000,000,000  | 1,700,003,600,000   (set forward by an hour)
 */
import type { Clock } from '../base/clock.ts'
import { createStoredTime } from '../base/stored-time.ts'

export interface RecordAges {
  /**
   * Notes that records are accepted now.
   * @param fromSequence the sequence of the first of these records
   * @param nowMs by the monotonic clock
   * @returns epoch milliseconds, to be stored with the records
   */
  accepted(fromSequence: number, nowMs: number): number
  /** Milliseconds since the record was accepted. Never negative. */
  ageMs(record: { readonly sequence: number; readonly acceptedAtMs: number }): number
}

interface Span {
  fromSequence: number
  readonly wallAheadMs: number
}

/** A smaller difference means that the two clocks drift apart. */
const stepMinMs = 1_000
/** Steps of the time of day that are remembered. Beyond this, the two oldest become one. */
export const spansMax = 1_000

/** @param lastSequence the last sequence that an earlier process gave */
export function createRecordAges(
  clock: Pick<Clock, 'wallMs' | 'monotonicMs'>,
  lastSequence: number,
): RecordAges {
  const openedMs = clock.monotonicMs()
  const storedTime = createStoredTime(clock)
  const spans: Span[] = []
  let wallAheadMs = Number.NEGATIVE_INFINITY

  function begin(fromSequence: number, nowAheadMs: number): void {
    wallAheadMs = nowAheadMs
    spans.push({ fromSequence, wallAheadMs })
    if (spans.length <= spansMax) return
    const [oldest] = spans.splice(0, 1)
    if (oldest && spans[0]) spans[0].fromSequence = oldest.fromSequence
  }

  function acceptedMs(sequence: number, acceptedAtMs: number): number {
    if (sequence <= lastSequence) return storedTime(acceptedAtMs)
    const span = spans.findLast(({ fromSequence }) => fromSequence <= sequence)
    // Never before this process started, also when steps were forgotten.
    return Math.max(openedMs, acceptedAtMs - (span?.wallAheadMs ?? 0))
  }

  return {
    accepted(fromSequence, nowMs) {
      const wallMs = clock.wallMs()
      const nowAheadMs = wallMs - nowMs
      if (Math.abs(nowAheadMs - wallAheadMs) >= stepMinMs) begin(fromSequence, nowAheadMs)
      return wallMs
    },
    ageMs({ sequence, acceptedAtMs }) {
      return Math.max(0, clock.monotonicMs() - acceptedMs(sequence, acceptedAtMs))
    },
  }
}
