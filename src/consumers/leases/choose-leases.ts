import { isEnded } from './lease.ts'
import type { Lease } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import type { SeenLease } from './lease-views.ts'

/** What a process does about the leases of the others. */
interface LeaseChoice {
  /** Leases that nobody reads, or that were handed over to this process. */
  readonly take: readonly Lease[]
  /** Leases of the busiest process, which is asked to hand them over. */
  readonly ask: readonly Lease[]
}

interface Choosing extends Pick<LeaseSettings, 'stealsMax' | 'leasesMax'> {
  readonly workerId: string
  /** The shards that this process reads already. */
  readonly held: ReadonlySet<string>
  /** Whether to ask an owner that has no more than its share, because it has more to do besides. */
  readonly isBusier?: ((owner: string) => boolean) | undefined
  /** Puts leases in a random order, so that processes do not try the same ones. */
  readonly shuffle: (leases: readonly Lease[]) => readonly Lease[]
}

/**
 * The leases that a process takes or asks for. As in the KCL, each process works towards an equal
 * share: the number of leases by the number of processes that have one, rounded up.
 *
 * @param seen all leases of the stream
 */
export function chooseLeases(seen: readonly SeenLease[], choosing: Choosing): LeaseChoice {
  const { workerId, held, shuffle, leasesMax } = choosing
  const readable = readableOf(seen)
  const isMine = ({ lease }: SeenLease) => lease.owner === workerId
  const others = readable.filter(({ lease }) => !held.has(lease.shardId))
  const given = others.filter((each) => isMine(each) && isForTaking(each))
  const free = others.filter((each) => !isMine(each) && each.isFree)

  const counts = new Map<string, number>([[workerId, 0]])
  for (const { lease, isFree } of readable) {
    if (lease.owner === undefined || (isFree && !held.has(lease.shardId))) continue
    counts.set(lease.owner, (counts.get(lease.owner) ?? 0) + 1)
  }
  const mine = readable.filter(
    (each) => isMine(each) && (held.has(each.lease.shardId) || !each.isFree),
  ).length
  const share = Math.ceil(readable.length / counts.size)
  const needed = Math.min(share, leasesMax) - mine
  const longFree = free.filter(({ isLongFree }) => isLongFree)
  const room = Math.max(0, Math.max(needed, Math.min(longFree.length, leasesMax - mine)))
  const wanted = [...shuffle(longFree.map(leaseOf)), ...shuffle(without(free, longFree))]
  const take = [...given.map(leaseOf), ...wanted.slice(0, room)]
  if (take.length > 0 || needed <= 0) return { take, ask: [] }
  return { take, ask: leasesToAskFor(readable, counts, { ...choosing, needed, share }) }
}

const leaseOf = ({ lease }: SeenLease) => lease

function without(seen: readonly SeenLease[], left: readonly SeenLease[]): readonly Lease[] {
  return seen.filter((each) => !left.includes(each)).map(leaseOf)
}

/** Handed over to this process, or lost by it without its knowledge. */
const isForTaking = ({ lease, isFree, isOverdue }: SeenLease) =>
  lease.handedOverBy === undefined || isFree || isOverdue

/** Leases of shards that are not read to their end, while all their parents are. */
function readableOf(seen: readonly SeenLease[]): readonly SeenLease[] {
  const unfinished = new Set(seen.flatMap(({ lease }) => (isEnded(lease) ? [] : [lease.shardId])))
  return seen.filter(
    ({ lease }) =>
      unfinished.has(lease.shardId) && !lease.parentIds.some((id) => unfinished.has(id)),
  )
}

function leasesToAskFor(
  readable: readonly SeenLease[],
  counts: ReadonlyMap<string, number>,
  {
    workerId,
    shuffle,
    stealsMax,
    isBusier = () => false,
    needed,
    share,
  }: Choosing & { needed: number; share: number },
): readonly Lease[] {
  const others = [...counts].filter(([owner]) => owner !== workerId)
  for (const [owner, count] of others.toSorted(([, left], [, right]) => right - left)) {
    // One that has its share gives one up to a process that lacks more than one.
    const isLess = () => count === share && (needed > 1 || isBusier(owner))
    const surplus = Math.max(count - share, isLess() ? 1 : 0)
    if (surplus === 0) continue
    const candidates = readable.flatMap(({ lease, isFree }) =>
      lease.owner === owner && lease.handedOverBy === undefined && !isFree ? [lease] : [],
    )
    return shuffle(candidates).slice(0, Math.min(needed, surplus, stealsMax))
  }
  return []
}
