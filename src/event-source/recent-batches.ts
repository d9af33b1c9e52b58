/** One invocation of a function with a batch of a mapping. */
export interface RecentBatch {
  /** When the function was invoked, as RFC 3339 in UTC. */
  readonly at: string
  readonly shardId: string
  /** How many records it got: 0 for the final invocation of a window. */
  readonly records: number
  readonly durationMs: number
  /**
   * The age of the last record when the function was invoked, which is Lambda's metric
   * IteratorAge. Absent without records.
   */
  readonly iteratorAgeMs?: number | undefined
  /** `partlyFailed`: the function reported some records as failed. */
  readonly outcome: 'succeeded' | 'partlyFailed' | 'failed' | 'notInvoked'
  /** Records that are not tried again because of this invocation. */
  readonly givenUp: number
  /** Why it did not succeed. A function may quote records in it. */
  readonly reason?: string | undefined
}

/** The newest batches of each mapping since the start of the process. */
export interface RecentBatches {
  add(uuid: string, batch: RecentBatch): void
  /** @returns the newest first */
  of(uuid: string): readonly RecentBatch[]
  /** Forgets those of a mapping that was deleted. */
  forget(uuid: string): void
}

const batchesMax = 20

/** Keeps the newest 20 batches of each mapping in memory. */
export function createRecentBatches(): RecentBatches {
  const byMapping = new Map<string, RecentBatch[]>()
  return {
    add(uuid, batch) {
      const batches = byMapping.get(uuid) ?? []
      if (batches.length === 0) byMapping.set(uuid, batches)
      batches.push(batch)
      if (batches.length > batchesMax) batches.shift()
    },
    of: (uuid) => (byMapping.get(uuid) ?? []).toReversed(),
    forget: (uuid) => void byMapping.delete(uuid),
  }
}
