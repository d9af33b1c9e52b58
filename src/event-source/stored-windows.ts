/**
 * What the checkpoint of a shard stores of the tumbling windows of its parallel batches.
 *
 * Format: JSON of `StoredWindows`. An earlier format is a list with the text of each window, or
 * null; its parallel batches have no positions.
 *
 * Invariants:
 * - A state and its position belong together: the state of a parallel batch holds its records up to
 *   and including `after`, each of them once, and no later one. Both are taken over in one turn and
 *   saved in one transaction with the checkpoint, behind which reading goes on.
 * - What does not fit the settings of the mapping any more is not dropped: positions of another
 *   number of parallel batches are kept until the checkpoint has passed them, and windows without a
 *   batch, or of another length, wait for their final invocation.
 */
import type { OpenWindow } from './tumbling-window.ts'

interface StoredParallelBatch {
  /** The last record that is finished; undefined before the first one. */
  readonly after?: string | undefined
  readonly window?: OpenWindow | undefined
}

/** The positions of the parallel batches, of which there were as many as the list is long. */
type Positions = readonly (string | null)[]

export interface StoredWindows {
  readonly batches: readonly StoredParallelBatch[]
  /** Positions from before changes of ParallelizationFactor. */
  readonly earlier: readonly Positions[]
  /** Windows that get no more records, only their final invocation. */
  readonly leftOver: readonly OpenWindow[]
}

/** After more changes than these while one record stands still, records may be counted twice. */
const earlierMax = 8

/**
 * The stored windows, as they fit the settings of a mapping.
 * @param text what `textOfWindows` made, or an earlier release
 */
export function storedWindowsIn(
  text: string | undefined,
  { batchCount, lengthMs }: { readonly batchCount: number; readonly lengthMs: number },
): StoredWindows {
  const stored = parse(text, lengthMs)
  const isSameCount = stored.batches.length === batchCount
  const positions = stored.batches.map(({ after }) => after ?? null)
  const hasPositions = !isSameCount && positions.some((position) => position !== null)
  const earlier = [...(hasPositions ? [positions] : []), ...stored.earlier].slice(0, earlierMax)
  const leftOver = [...stored.leftOver]
  const batches: StoredParallelBatch[] = Array.from({ length: batchCount }, (_, index) => ({
    after: isSameCount ? stored.batches[index]?.after : undefined,
  }))
  for (const [index, { window }] of stored.batches.entries()) {
    if (!window) continue
    const batch = batches[index]
    if (batch && window.endMs - window.startMs === lengthMs) batches[index] = { ...batch, window }
    else leftOver.push(window)
  }
  return { batches, earlier, leftOver }
}

/**
 * @param finishedUpTo the record of the checkpoint; undefined before the first one
 * @returns the text for a checkpoint; undefined when there is nothing to store
 */
export function textOfWindows(
  { batches, earlier, leftOver }: StoredWindows,
  finishedUpTo: string | undefined,
): string | undefined {
  const isAhead = (position: string | null) =>
    position !== null && (finishedUpTo === undefined || isBehind(finishedUpTo, position))
  const needed = earlier.filter((positions) => positions.some(isAhead))
  const isNeeded = batches.length + needed.length + leftOver.length > 0
  return isNeeded ? JSON.stringify({ batches, earlier: needed, leftOver }) : undefined
}

/**
 * @returns a function that says of the records of a shard, in order, whether their state is stored
 * @param batchOf the index of the parallel batch of a partition key, of so many
 */
export function createStoredRecords(
  { batches, earlier }: StoredWindows,
  batchOf: (partitionKey: string, batchCount: number) => number,
): (record: { readonly sequenceNumber: string; readonly partitionKey: string }) => boolean {
  const generations = [batches.map(({ after }) => after ?? null), ...earlier]
  let last: string | undefined
  for (const position of generations.flat()) {
    if (position !== null && (last === undefined || isBehind(last, position))) last = position
  }
  return ({ sequenceNumber, partitionKey }) => {
    // Most records are behind all that is stored, or there is nothing.
    if (last === undefined || isBehind(last, sequenceNumber)) return false
    return generations.some((positions) => {
      const position = positions[batchOf(partitionKey, positions.length)] ?? null
      return position !== null && !isBehind(position, sequenceNumber)
    })
  }
}

/** Whether the record `second` comes after `first`: sequence numbers are decimal. */
const isBehind = (first: string, second: string) =>
  first.length === second.length ? first < second : first.length < second.length

function parse(text: string | undefined, lengthMs: number): StoredWindows {
  const stored: unknown = text === undefined ? [] : JSON.parse(text)
  if (!Array.isArray(stored)) return stored as StoredWindows
  const batches = stored.map((window: unknown): StoredParallelBatch => {
    if (typeof window !== 'string') return {}
    const { startMs, state } = JSON.parse(window) as Pick<OpenWindow, 'startMs' | 'state'>
    return { window: { startMs, endMs: startMs + lengthMs, state } }
  })
  return { batches, earlier: [], leftOver: [] }
}
