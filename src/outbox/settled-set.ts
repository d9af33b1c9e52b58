import type { RecordPlace, RecordRemovals } from './outbox-store.ts'

/** Settled records whose removal is not on disk yet: they are passed over when reading. */
export interface SettledSet {
  has(key: RecordPlace): boolean
  add(records: RecordRemovals): void
  removed(records: RecordRemovals): void
}

/** Holds what waits in the group commit for removal, so it is bounded as that is. */
export function createSettledSet(): SettledSet {
  const byDestination = new Map<number, Set<number>>()
  return Object.freeze({
    has: ({ destinationId, sequence }: RecordPlace) =>
      byDestination.get(destinationId)?.has(sequence) === true,
    add({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id) ?? new Set()
      byDestination.set(destination.id, known)
      for (const sequence of sequences) known.add(sequence)
    },
    removed({ destination, sequences }: RecordRemovals) {
      const known = byDestination.get(destination.id)
      for (const sequence of sequences) known?.delete(sequence)
      if (known?.size === 0) byDestination.delete(destination.id)
    },
  })
}
