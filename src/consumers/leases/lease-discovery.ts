import { hashKeySpace } from '../../base/hash-key.ts'
import type { StreamReads } from '../following.ts'
import type { ShardDescription, StartPosition } from '../shard-reader.ts'
import type { Lease, LeaseTable } from './lease.ts'
import { missingLeases, outdatedLeases } from './missing-leases.ts'

/** Keeps a lease for each shard that the stream has. */
export interface LeaseDiscovery {
  /** Lists the shards; stores the leases that are missing, and removes those that are outdated. */
  discover(): Promise<void>
  /** As it was listed last. */
  isListed(shardId: string): boolean
  childIdsOf(shardId: string): readonly string[]
  shardOf(lease: Lease): ShardDescription
}

/** @param from where an application begins that has not begun */
export function createLeaseDiscovery(
  { reads, table }: { readonly reads: StreamReads; readonly table: LeaseTable },
  { from, signal }: { readonly from: StartPosition; readonly signal: AbortSignal },
): LeaseDiscovery {
  let graph: ReadonlyMap<string, ShardDescription> = new Map()
  return {
    async discover() {
      const shards = await reads.listShards(signal)
      graph = new Map(shards.map((shard) => [shard.shardId, shard]))
      const leases = await table.list(signal)
      for (const lease of missingLeases(shards, leases, from, reads.serviceNowMs())) {
        await table.create(lease)
      }
      for (const lease of outdatedLeases(shards, leases)) await table.remove(lease)
    },
    isListed: (shardId) => graph.has(shardId),
    childIdsOf: (shardId) =>
      [...graph.values()].flatMap((shard) =>
        shard.parentIds.includes(shardId) ? [shard.shardId] : [],
      ),
    shardOf: (lease) => graph.get(lease.shardId) ?? unlistedShard(lease),
  }
}

function unlistedShard({ shardId, parentIds, hashKeys }: Lease): ShardDescription {
  return {
    shardId,
    parentIds,
    startingHashKey: hashKeys?.starting ?? 0n,
    endingHashKey: hashKeys?.ending ?? hashKeySpace - 1n,
    isClosed: false,
  }
}
