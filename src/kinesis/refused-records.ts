/**
 * Records that Kinesis refuses for what they are. Each steps out of its key's order, so that it
 * holds nothing back, stays in the outbox and is tried again alone, ever more seldom. (Dead letters
 * will take these.)
 *
 * At most `refusedMax` are remembered; beyond that the one refused first is left alone until the
 * next start, when it is read from the outbox again.
 */
export interface RefusedRecords {
  add(refused: Refused): void
  /** Takes those that are due. */
  takeDue(nowMs: number): readonly Refused[]
  nextDueMs(): number | undefined
}

export interface Refused {
  readonly sequence: number
  readonly attempts: number
  readonly dueMs: number
}

export const refusedMax = 1_000

export function createRefusedRecords(): RefusedRecords {
  const bySequence = new Map<number, Refused>()
  return Object.freeze({
    add(refused: Refused) {
      bySequence.set(refused.sequence, refused)
      const [oldest] = bySequence.keys()
      if (bySequence.size > refusedMax && oldest !== undefined) bySequence.delete(oldest)
    },
    takeDue(nowMs: number) {
      const due = [...bySequence.values()].filter(({ dueMs }) => dueMs <= nowMs)
      for (const { sequence } of due) bySequence.delete(sequence)
      return due
    },
    nextDueMs() {
      if (bySequence.size === 0) return undefined
      return Math.min(...[...bySequence.values()].map(({ dueMs }) => dueMs))
    },
  })
}
