import type { Clock } from '../../base/clock.ts'
import type { ClusterEntry } from './cluster-entry.ts'
import { nodeOfWorker } from './mapping-leases.ts'

/** From one shard that is asked for beyond the shares of its mapping to the next. */
const intervalMs = 2_000
/** With a smaller difference the two would only change places. */
const differenceMin = 2

/**
 * Balances the shards of all mappings over the nodes, where their own shares leave it open: a
 * mapping of one shard is with any node.
 *
 * @returns a function that says whether a worker is to be asked for a shard, because its node has
 *   more of them than this one: at most once in two seconds, so that what it changes is seen
 */
export function createNodeBalance(
  clock: Pick<Clock, 'monotonicMs'>,
  { entries, node }: { readonly entries: ReadonlyMap<string, ClusterEntry>; readonly node: string },
): (worker: string) => boolean {
  let lastMs = -Infinity
  return (worker) => {
    const nowMs = clock.monotonicMs()
    if (nowMs - lastMs < intervalMs) return false
    lastMs = nowMs
    const other = nodeOfWorker(worker)
    let difference = 0
    for (const { leases } of entries.values()) {
      for (const owner of leases.owners()) {
        if (nodeOfWorker(owner) === other) difference++
        if (nodeOfWorker(owner) === node) difference--
      }
    }
    return difference >= differenceMin
  }
}
