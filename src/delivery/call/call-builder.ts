import { countThatFits, payloadBytesOf } from './outgoing.ts'
import type { Outgoing } from './outgoing.ts'
import type { CallLimits } from '../queue/send-queue.ts'

/** A call that is being filled. */
export interface Filling {
  readonly recordsMax: number
  readonly taken: readonly Outgoing[]
  /**
   * How many from the head of `waiting` fit beside what is taken, at most `recordsMax` (1 or more).
   * The first record of a call fits however large it is; one that is to go alone, only there.
   */
  fitting(waiting: readonly Outgoing[], recordsMax: number): number
  take(records: readonly Outgoing[]): void
  /** Nothing more is to be looked at: it is full, or something did not fit. */
  isClosed(): boolean
}

export function createFilling(limits: CallLimits): Filling {
  const taken: Outgoing[] = []
  let roomBytes = limits.bytesMax
  let closed = false
  return {
    recordsMax: limits.recordsMax,
    taken,
    fitting(waiting, recordsMax) {
      if (taken.length === 0) return Math.max(1, fitting(waiting, recordsMax))
      if (waiting[0]?.alone === true) return 0
      const count = fitting(waiting, recordsMax)
      closed ||= count === 0
      return count
    },
    take(records) {
      for (const record of records) taken.push(record)
      roomBytes -= payloadBytesOf(records)
      closed ||= records[0]?.alone === true || taken.length >= limits.recordsMax
    },
    isClosed: () => closed,
  }

  function fitting(waiting: readonly Outgoing[], recordsMax: number): number {
    const countMax = Math.min(recordsMax, limits.recordsMax - taken.length)
    return countThatFits(waiting, countMax, roomBytes)
  }
}
