import { laneCount } from '../log/replicated-log.ts'

const offsetBasis = 0x811c_9dc5
const prime = 0x0100_0193

/**
 * The lane of a partition key, whatever its destination: FNV-1a of its UTF-16 units, folded. It is
 * part of the format of the log: all nodes of all releases must agree on it, or the records of a
 * key change places.
 *
 * @returns from 0 to `laneCount - 1`
 */
export function laneOf(partitionKey: string): number {
  let hash = offsetBasis
  for (let index = 0; index < partitionKey.length; index++) {
    hash = Math.imul(hash ^ partitionKey.charCodeAt(index), prime)
  }
  hash ^= hash >>> 16
  hash ^= hash >>> 8
  return (hash ^ (hash >>> 4)) & (laneCount - 1)
}
