/**
 * How far a shard is processed, while its records are finished in any order.
 *
 * Invariant: `finishedUpTo` is the last record up to which every record is finished. It never
 * passes an unfinished record.
 */
interface ShardProgress {
  /** Adds the next record of the shard, to be finished later. */
  begin(sequenceNumber: string): TrackedRecord
  /** The sequence number; undefined while no record was ever finished. */
  finishedUpTo(): string | undefined
}

interface TrackedRecord {
  finish(): void
}

/**
 * @param onAdvance called when `finishedUpTo` has moved. The caller bounds unfinished records.
 * @param from where the last run ended
 */
export function createShardProgress(
  onAdvance: (sequenceNumber: string) => void,
  from?: string,
): ShardProgress {
  const unfinished: { readonly sequenceNumber: string; isFinished: boolean }[] = []
  let finished = from
  // The list is cut only now and then, because removing its first element copies all others.
  let first = 0
  const cutLengthMin = 1_024

  function advance(): void {
    const before = first
    while (unfinished[first]?.isFinished) first++
    if (first === before) return
    finished = unfinished[first - 1]?.sequenceNumber
    if (first >= cutLengthMin && first * 2 >= unfinished.length) {
      unfinished.splice(0, first)
      first = 0
    }
    if (finished !== undefined) onAdvance(finished)
  }

  return {
    begin(sequenceNumber) {
      const record = { sequenceNumber, isFinished: false }
      unfinished.push(record)
      return {
        finish() {
          record.isFinished = true
          if (unfinished[first] === record) advance()
        },
      }
    },
    finishedUpTo: () => finished,
  }
}
