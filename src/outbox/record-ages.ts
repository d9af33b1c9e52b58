/**
 * How old records are, whatever is done to the time of day while they wait.
 *
 * On disk a record has the time of day of its acceptance, for people and for a later process. Its
 * age goes by the monotonic clock: that one runs ahead of the time of day, or behind it, by an
 * amount that changes only when the time of day is set. So it is enough to know from which sequence
 * on it was which. A record of an earlier process is as old as it was at the start, by the time of
 * day then, and as the time since.
 *
 *     sequence   ..41 | 42 ............ 96 | 97 .....
 *     wall ahead  --- | 1,700,000,000,000  | 1,700,003,600,000   (set forward by an hour)
 */
import type { Clock } from '../base/clock.ts'
import { createStoredTime } from '../base/stored-time.ts'

export interface RecordAges {
  /**
   * Notes that records are accepted now.
   * @param fromSequence of the first of them
   * @param nowMs by the monotonic clock
   * @returns epoch milliseconds, to be stored with them
   */
  accepted(fromSequence: number, nowMs: number): number
  /** Since the record was accepted. Never negative. */
  ageMs(record: { readonly sequence: number; readonly acceptedAtMs: number }): number
}

interface Span {
  fromSequence: number
  readonly wallAheadMs: number
}

/** A smaller difference is the two clocks drifting apart. */
const stepMinMs = 1_000
/** Steps that are remembered; beyond it the two oldest are taken for one. */
export const spansMax = 1_000

/** @param lastSequence the last one that an earlier process gave */
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
    // No earlier than the process, also where steps were forgotten.
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
