import type { Clock } from '../../base/clock.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import type { StreamReads } from '../following.ts'
import { reasonOf } from '../retry-backoff.ts'
import type { StartPosition } from '../shard-reader.ts'
import { chooseLeases } from './choose-leases.ts'
import { createHeldLease } from './held-lease.ts'
import type { HeldLease } from './held-lease.ts'
import { askedFor, released, taken, withdrawn } from './lease.ts'
import type { Lease, LeaseTable } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { createLeaseViews } from './lease-views.ts'
import { timedCheckpoint } from './missing-leases.ts'

/** Takes the leases that are the share of this process, and renews them. */
interface LeaseTaker {
  /** Looks at all leases, takes those that are due to this process, and asks for some of others. */
  look(): Promise<void>
  renew(): Promise<void>
  /** Whether it was written just now that this process may have a lease that it does not read. */
  isOffered(lease: Lease): boolean
  /** Resolves when the reading of all shards has ended, and their leases are given back. */
  ended(): Promise<void>
}

interface LeaseTakerOptions {
  readonly workerId: string
  readonly from: StartPosition
  readonly signal: AbortSignal
  readonly settings: LeaseSettings
  readonly isBusier?: ((owner: string) => boolean) | undefined
  /** Reads the shard, and releases its lease; never rejects. */
  readonly read: (lease: Lease, held: HeldLease) => Promise<void>
}

/** A lease that changes meanwhile is looked at again. */
const giveBacksMax = 3

export function createLeaseTaker(
  dependencies: {
    readonly reads: Pick<StreamReads, 'serviceNowMs'>
    readonly table: LeaseTable
    readonly clock: Clock
    readonly logger: WarningLog
    readonly random: () => number
  },
  { workerId, from, signal, settings, isBusier, read }: LeaseTakerOptions,
): LeaseTaker {
  const { reads, table, clock, logger, random } = dependencies
  const views = createLeaseViews(settings.failoverMs)
  /** As many as this process reads shards; the promises end with the reading. */
  const held = new Map<string, { readonly lease: HeldLease; readonly done: Promise<void> }>()

  async function take(lease: Lease): Promise<void> {
    const takenMs = clock.monotonicMs()
    const after = taken(lease, workerId, timedCheckpoint(lease, from, reads.serviceNowMs()))
    if (!(await table.replace(lease, after))) return
    const heldLease = createHeldLease(dependencies, {
      ...settings,
      workerId,
      lease: after,
      takenMs,
      stop: signal,
    })
    const done = read(after, heldLease).finally(() => held.delete(lease.shardId))
    held.set(lease.shardId, { lease: heldLease, done })
  }

  return {
    async look() {
      const found = table.known?.() ?? (await table.list(signal))
      const seen = views.note(found, clock.monotonicMs())
      const choice = chooseLeases(seen, {
        ...settings,
        workerId,
        isBusier,
        held: new Set(held.keys()),
        shuffle: (leases) => shuffled(leases, random),
      })
      for (const lease of choice.take) {
        if (!signal.aborted) await take(lease)
      }
      for (const lease of choice.ask) {
        if (!signal.aborted) await table.replace(lease, askedFor(lease, workerId))
      }
    },
    async renew() {
      await Promise.all([...held.values()].map(({ lease }) => lease.renew()))
    },
    isOffered: ({ shardId, owner, handedOverBy }) =>
      handedOverBy === undefined &&
      (owner === undefined || (owner === workerId && !held.has(shardId))),
    async ended() {
      await Promise.all([...held.values()].map(({ done }) => done))
      try {
        await giveBack(table, workerId)
      } catch (thrown) {
        const reason = reasonOf(thrown)
        logger.warn({ reason }, 'leases could not be looked at; those of this process expire')
      }
    },
  }
}

/**
 * Releases what was handed over to a process after its last look, and takes back what it has asked
 * for: it would be handed over to a process that is gone.
 */
async function giveBack(table: LeaseTable, workerId: string): Promise<void> {
  for (let count = 0; count < giveBacksMax; count++) {
    const mine = (await table.list()).filter(({ owner }) => owner === workerId)
    if (mine.length === 0) return
    for (const lease of mine) {
      const isAsked = lease.handedOverBy !== undefined
      await table.replace(lease, isAsked ? withdrawn(lease) : released(lease))
    }
  }
}

function shuffled<Item>(items: readonly Item[], random: () => number): readonly Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ item }) => item)
}
