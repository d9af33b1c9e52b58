import type { Checkpoint } from '../checkpoints.ts'
import type { ShardDescription, StartPosition } from '../shard-reader.ts'
import { isEnded } from './lease.ts'
import type { Lease } from './lease.ts'

/**
 * The leases to be stored for shards that have none. A shard with a descendant that has a lease was
 * read to its end, or was never wanted.
 *
 * @param shards all shards of the stream
 * @param leases the stored ones; while each is at its start, the application has not begun to read
 * @param from where an application begins that has not begun
 * @param nowMs epoch milliseconds of the service: the time that stands for LATEST
 * @returns parents before children. They must be stored in this order: when it breaks off, a stored
 *   child shows that its parents were stored before
 */
export function missingLeases(
  shards: readonly ShardDescription[],
  leases: readonly Lease[],
  from: StartPosition,
  nowMs: number,
): readonly Lease[] {
  const known = new Set(leases.map(({ shardId }) => shardId))
  const passed = ancestorsOf(leases, shards)
  const hasBegun = leases.some(({ checkpoint }) => !isStart(checkpoint))
  return parentsFirst(shards).flatMap((shard) => {
    if (known.has(shard.shardId) || passed.has(shard.shardId)) return []
    const isChild = shard.parentIds.some((id) => known.has(id))
    const isFirst = !hasBegun && (!isChild || from.type === 'AT_TIMESTAMP')
    if (isFirst && from.type === 'LATEST' && shard.isClosed) return []
    known.add(shard.shardId)
    return [isFirst ? firstLease(shard, from, nowMs) : leaseFromStart(shard)]
  })
}

/** The lease of a shard that is read from its beginning. */
function leaseFromStart(shard: ShardDescription): Lease {
  return {
    shardId: shard.shardId,
    counter: 0,
    checkpoint: { kind: 'start', position: { type: 'TRIM_HORIZON' } },
    isFromLatest: false,
    ownerSwitches: 0,
    parentIds: shard.parentIds,
    childIds: [],
    hashKeys: { starting: shard.startingHashKey, ending: shard.endingHashKey },
  }
}

function firstLease(shard: ShardDescription, from: StartPosition, nowMs: number): Lease {
  const isFromLatest = from.type === 'LATEST'
  const position = isFromLatest ? ({ type: 'AT_TIMESTAMP', timestampMs: nowMs } as const) : from
  return { ...leaseFromStart(shard), checkpoint: { kind: 'start', position }, isFromLatest }
}

/** The checkpoint of a lease that is taken. One without a time begins at `from`, or now. */
export function timedCheckpoint(lease: Lease, from: StartPosition, nowMs: number): Checkpoint {
  const { checkpoint, isFromLatest } = lease
  if (checkpoint.kind !== 'untimed') return checkpoint
  if (!isFromLatest) {
    const position = from.type === 'AT_TIMESTAMP' ? from : ({ type: 'TRIM_HORIZON' } as const)
    return { kind: 'start', position }
  }
  return { kind: 'start', position: { type: 'AT_TIMESTAMP', timestampMs: nowMs } }
}

/** The leases of processed shards that the stream no longer lists. */
export function outdatedLeases(
  shards: readonly ShardDescription[],
  leases: readonly Lease[],
): readonly Lease[] {
  const listed = new Set(shards.map(({ shardId }) => shardId))
  return leases.filter((lease) => isEnded(lease) && !listed.has(lease.shardId))
}

const isStart = ({ kind }: Lease['checkpoint']) => kind === 'start' || kind === 'untimed'

/** The shards of which a descendant has a lease. */
function ancestorsOf(
  leases: readonly Lease[],
  shards: readonly ShardDescription[],
): ReadonlySet<string> {
  const parents = new Map<string, readonly string[]>()
  for (const { shardId, parentIds } of [...leases, ...shards]) parents.set(shardId, parentIds)
  const found = new Set<string>()
  const open = leases.flatMap(({ parentIds }) => parentIds)
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue
    found.add(id)
    open.push(...(parents.get(id) ?? []))
  }
  return found
}

function parentsFirst(shards: readonly ShardDescription[]): readonly ShardDescription[] {
  const left = new Map(shards.map((shard) => [shard.shardId, shard]))
  const sorted: ShardDescription[] = []
  while (left.size > 0) {
    const next = [...left.values()].filter(({ parentIds }) => !parentIds.some((id) => left.has(id)))
    // A listing without a circle always has one.
    if (next.length === 0) return [...sorted, ...left.values()]
    for (const shard of next) left.delete(shard.shardId)
    sorted.push(...next)
  }
  return sorted
}
