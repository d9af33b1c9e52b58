import type { Clock } from '../../base/clock.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import { positionAfter } from '../checkpoints.ts'
import type { Checkpoint } from '../checkpoints.ts'
import type { FollowOptions, ShardOutcome, ShardTask } from '../following.ts'
import { createRetryBackoff, nameOf } from '../retry-backoff.ts'
import type { HeldLease } from './held-lease.ts'
import type { Lease } from './lease.ts'
import type { LeaseDiscovery } from './lease-discovery.ts'
import { LeaseLost, isPassing } from './lease-writer.ts'

interface ReadDependencies {
  readonly discovery: LeaseDiscovery
  readonly clock: Clock
  readonly logger: WarningLog
}

/**
 * @returns a function that reads a shard until its end, or until its lease is to be given up, and
 *   then releases the lease
 */
export function createReadLeasedShard(
  dependencies: ReadDependencies,
  { runShard, signal: stop }: Pick<FollowOptions, 'runShard' | 'signal'>,
): (lease: Lease, held: HeldLease) => Promise<void> {
  const { discovery } = dependencies

  async function run(lease: Lease, held: HeldLease): Promise<ShardOutcome> {
    const { checkpoint, shardId } = lease
    if (checkpoint.kind === 'untimed' || checkpoint.kind === 'ended') return undefined
    const { signal, isHeld, save } = held
    const shard = discovery.shardOf(lease)
    try {
      return await runShard({ ...readingOf(checkpoint), shard, signal, isHeld, save })
    } catch (thrown) {
      // A closed shard disappears when its records have expired, which ends it.
      if (nameOf(thrown) !== 'ResourceNotFoundException' || stop.aborted) throw thrown
      await discovery.discover()
      if (discovery.isListed(shardId)) throw thrown
      return { children: [] }
    }
  }

  /**
   * Stores the leases of the children, and then the end of the shard. A child of two shards waits
   * for the other one too, whose lease may be missing as well: so all that are missing are stored.
   */
  async function end({ shardId }: Lease, held: HeldLease, outcome: NonNullable<ShardOutcome>) {
    const backoff = createRetryBackoff(dependencies, {
      firstDelayMs: 500,
      delayMsMax: 5_000,
      text: 'the end of a shard cannot be stored now; it is tried again',
      fields: { shardId },
    })
    for (let isStored = false; !isStored;) {
      try {
        await discovery.discover()
        isStored = true
      } catch (thrown) {
        if (held.signal.aborted) throw new LeaseLost(shardId, thrown)
        if (!isPassing(thrown)) throw thrown
        await backoff.afterFailure(thrown, held.signal)
      }
    }
    const named = outcome.children.map((child) => child.shardId)
    await held.end([...new Set([...named, ...discovery.childIdsOf(shardId)])])
  }

  return async (lease, held) => {
    let hasEnded = false
    try {
      const outcome = await run(lease, held)
      if (!outcome) return
      await end(lease, held, outcome)
      hasEnded = true
    } catch (thrown) {
      if (!(thrown instanceof LeaseLost)) throw thrown
    } finally {
      if (!hasEnded) await held.release()
    }
  }
}

function readingOf(
  checkpoint: Exclude<Checkpoint, { kind: 'ended' }>,
): Pick<ShardTask, 'from' | 'checkpoint' | 'state'> {
  return {
    from: positionAfter(checkpoint),
    checkpoint: checkpoint.kind === 'after' ? checkpoint : undefined,
    state: checkpoint.state,
  }
}
