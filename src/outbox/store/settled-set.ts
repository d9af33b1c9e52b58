import type { RecordPosition, RecordRemovals } from './outbox-store.ts'

/** Settled records whose removal is not on disk yet: they are passed over when reading. */
export interface SettledSet {
  has(key: RecordPosition): boolean
  add(records: RecordRemovals): void
  removed(records: RecordRemovals): void
  size(): number
}

/** Bounded by the producer, which begins no call while it is large. */
export function createSettledSet(): SettledSet {
  const byDestination = new Map<number, Set<number>>()
  let size = 0
  return {
    has: ({ destinationId, sequence }: RecordPosition) =>
      byDestination.get(destinationId)?.has(sequence) === true,
    add({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id) ?? new Set()
      byDestination.set(destination.id, known)
      size -= known.size
      for (const sequence of sequences) known.add(sequence)
      size += known.size
    },
    removed({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id)
      if (known === undefined) return
      size -= known.size
      for (const sequence of sequences) known.delete(sequence)
      size += known.size
      if (known.size === 0) byDestination.delete(destination.id)
    },
    size: () => size,
  }
}
