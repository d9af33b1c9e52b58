import type { LaneChunk } from './lane-chunks.ts'

/** Records of a chunk in the outbox of this node. */
interface PlacedChunk<Owner> {
  readonly owner: Owner
  readonly chunk: LaneChunk
  /** In the outbox, ascending. */
  readonly sequences: readonly number[]
  /** For each of them, its index in the chunk. */
  readonly indexes: number[]
}

interface PlacedRecord<Owner> {
  readonly owner: Owner
  readonly chunk: LaneChunk
  readonly index: number
}

/** Finds the chunk of a record in the outbox. */
export interface PlacedRecords<Owner> {
  /** Sequences of the outbox grow from chunk to chunk. */
  add(placed: PlacedChunk<Owner>): void
  /** @returns undefined for a record that no lane of this node needs any more */
  find(sequence: number): PlacedRecord<Owner> | undefined
  /** This node does not need the record any more: it is not found from now on. */
  forget(sequence: number): void
  /** Something has left: chunks that nothing needs are let go now and then. */
  left(): void
}

const forgottenIndex = -1
/** Chunks that have left until the others are moved together. */
const leftMax = 256

/** @param isGone whether an owner needs nothing of its chunks any more */
export function createPlacedRecords<Owner>(
  isGone: (owner: Owner) => boolean,
): PlacedRecords<Owner> {
  let all: PlacedChunk<Owner>[] = []
  let leftCount = 0

  function placeOf(sequence: number) {
    const placed = all[lastUpTo(all.length, (at) => (all[at]?.sequences[0] ?? 0) <= sequence)]
    const { sequences = [] } = placed ?? {}
    const at = lastUpTo(sequences.length, (index) => (sequences[index] ?? 0) <= sequence)
    return { placed, at }
  }

  return {
    add: (placed) => void all.push(placed),
    find(sequence) {
      const { placed, at } = placeOf(sequence)
      if (placed === undefined || isGone(placed.owner)) return undefined
      const index = placed.sequences[at] === sequence ? placed.indexes[at] : undefined
      if (index === undefined || index === forgottenIndex) return undefined
      return { owner: placed.owner, chunk: placed.chunk, index }
    },
    forget(sequence) {
      const { placed, at } = placeOf(sequence)
      if (placed?.sequences[at] === sequence) placed.indexes[at] = forgottenIndex
    },
    left() {
      leftCount += 1
      if (leftCount < leftMax) return
      leftCount = 0
      all = all.filter(({ owner, chunk }) => chunk.left > 0 && !isGone(owner))
    },
  }
}

/** The last of `length` indexes for which it holds; it holds for the first of them, or for none. */
function lastUpTo(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}
