import type { RecordKey } from './outbox-store.ts'

/** Settled records whose removal is not on disk yet: they are passed over when reading. */
export interface SettledSet {
  has(key: RecordKey): boolean
  add(keys: readonly RecordKey[]): void
  removed(keys: readonly RecordKey[]): void
}

/** Holds what waits in the group commit for removal, so it is bounded as that is. */
export function createSettledSet(): SettledSet {
  const byDestination = new Map<number, Set<number>>()
  return Object.freeze({
    has: ({ destinationId, sequence }: RecordKey) =>
      byDestination.get(destinationId)?.has(sequence) === true,
    add(keys: readonly RecordKey[]) {
      for (const { destinationId, sequence } of keys) {
        const known = byDestination.get(destinationId)
        if (known) known.add(sequence)
        else byDestination.set(destinationId, new Set([sequence]))
      }
    },
    removed(keys: readonly RecordKey[]) {
      for (const { destinationId, sequence } of keys) {
        const known = byDestination.get(destinationId)
        known?.delete(sequence)
        if (known?.size === 0) byDestination.delete(destinationId)
      }
    },
  })
}
