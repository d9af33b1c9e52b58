/**
 * How far a shard is processed when its records are finished in any order.
 *
 * Invariant: `finishedUpTo` is the last record of which all before it, and itself, are finished. It
 * never passes one that is not.
 */
export interface ShardProgress {
  /** Takes note of the next record of the shard, to be finished later. */
  begin(sequenceNumber: string): TrackedRecord
  /** Undefined until the first record is finished. */
  finishedUpTo(): string | undefined
}

interface TrackedRecord {
  finish(): void
}

/** @param onAdvance told when `finishedUpTo` has moved. Records under way are bounded by the caller. */
export function createShardProgress(onAdvance: (sequenceNumber: string) => void): ShardProgress {
  const underWay: { readonly sequenceNumber: string; isFinished: boolean }[] = []
  let finished: string | undefined
  // The list is cut now and then: to take one from its front costs as much as it is long.
  let first = 0
  const cutLengthMin = 1_024

  function advance(): void {
    const before = first
    while (underWay[first]?.isFinished) first++
    if (first === before) return
    finished = underWay[first - 1]?.sequenceNumber
    if (first >= cutLengthMin && first * 2 >= underWay.length) {
      underWay.splice(0, first)
      first = 0
    }
    if (finished !== undefined) onAdvance(finished)
  }

  return {
    begin(sequenceNumber) {
      const record = { sequenceNumber, isFinished: false }
      underWay.push(record)
      return {
        finish() {
          record.isFinished = true
          if (underWay[first] === record) advance()
        },
      }
    },
    finishedUpTo: () => finished,
  }
}
