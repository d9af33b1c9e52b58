import { handoverMsMax, readerOf } from './lease.ts'
import type { Lease } from './lease.ts'

/** A lease as a process has seen it over some time. */
export interface SeenLease {
  readonly lease: Lease
  /** Nobody reads the shard: no owner, or none with a sign of life in the failover time. */
  readonly isFree: boolean
  /** It has been free for three failover times, so that the balance no longer counts. */
  readonly isLongFree: boolean
  /** The owner was asked for the shard, and has not handed it over in time. */
  readonly isOverdue: boolean
}

/** What a process knows of the leases of others. It holds as many as the stream has shards. */
interface LeaseViews {
  /** @param nowMs by the monotonic clock, after the leases were read */
  note(leases: readonly Lease[], nowMs: number): readonly SeenLease[]
}

interface View {
  readonly counter: number
  /** When the counter was first seen. */
  readonly sinceMs: number
  readonly askedBy: string | undefined
  readonly askedSinceMs: number
}

/** The KCL takes leases that have expired for so many failover times whatever the balance. */
const longFreeFactor = 3

/** @param failoverMs a lease whose counter stands still for so long has expired */
export function createLeaseViews(failoverMs: number): LeaseViews {
  let views = new Map<string, View>()

  function viewOf(lease: Lease, nowMs: number): View {
    const { counter, handedOverBy, owner } = lease
    const known = views.get(lease.shardId)
    const askedBy = handedOverBy === undefined ? undefined : `${owner} ${handedOverBy}`
    return {
      counter,
      sinceMs: known?.counter === counter ? known.sinceMs : nowMs,
      askedBy,
      askedSinceMs: known && known.askedBy === askedBy ? known.askedSinceMs : nowMs,
    }
  }

  return {
    note(leases, nowMs) {
      views = new Map(leases.map((lease) => [lease.shardId, viewOf(lease, nowMs)]))
      return leases.map((lease) => {
        const view = views.get(lease.shardId) ?? viewOf(lease, nowMs)
        const ageMs = nowMs - view.sinceMs
        const isFree = readerOf(lease) === undefined || ageMs > failoverMs
        return {
          lease,
          isFree,
          isLongFree: isFree && ageMs > longFreeFactor * failoverMs,
          isOverdue:
            view.askedBy !== undefined && nowMs - view.askedSinceMs > handoverMsMax + failoverMs,
        }
      })
    },
  }
}
