import type { Clock } from '../../base/clock.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import type { LeaseStore } from '../../consumers/leases/lease.ts'
import { isEnded, readerOf } from '../../consumers/leases/lease.ts'
import { leaseSettingsOf } from '../../consumers/leases/lease-settings.ts'
import { leaseOfText } from '../../consumers/leases/lease-text.ts'
import { createSharedCheckpoints } from '../../consumers/leases/shared-checkpoints.ts'
import { kindOfApplication, openStateLeaseTable } from '../../consumers/leases/state-lease-table.ts'
import type { SharedCheckpoints } from '../../consumers/following.ts'
import { applicationOf } from '../mapping-runner.ts'
import type { MappingSettings } from '../mapping-settings.ts'

/**
 * The leases of the shards of one mapping, as a node sees them. A worker is called
 * `<generation of the settings>@<node>`, so that all nodes see who still works with other settings.
 */
export interface MappingLeases {
  /** Whether a node has begun to read the stream: its positions are stored. */
  hasPositions(): boolean
  /** Whether a live node works on a shard, other than with these settings. */
  hasReaderBut(generation: string | undefined): boolean
  /** The workers that have shards, or are to get them: one for each shard. */
  owners(): readonly string[]
  /** @throws SluiceError ServiceUnavailableException (rejects) */
  remove(): Promise<void>
  close(): void
}

interface MappingLeasesDependencies {
  readonly leases: ClusterState
  readonly clock: Pick<Clock, 'monotonicMs'>
}

/** What was seen of a lease: the counter stands still when its reader is gone. */
interface SeenLease {
  readonly counter: number
  readonly reader: string | undefined
  readonly owner: string | undefined
  readonly sinceMs: number
}

/** The node of a worker. */
export const nodeOfWorker = (worker: string) => worker.slice(worker.indexOf('@') + 1)

const failoverMs = 10_000
/** A state of a window is larger than a position, and is written as often. */
const checkpointIntervalMs = { usual: 200, withWindow: 1_000 }

export function createMappingLeases(
  { leases, clock }: MappingLeasesDependencies,
  uuid: string,
): MappingLeases {
  const view = leases.view(kindOfApplication(applicationOf(uuid)))
  /** As many as the stream has shards. */
  const seen = new Map<string, SeenLease>()

  function look(name: string): void {
    const entry = view.get(name)
    const lease = entry && leaseOfText(entry.value.toString())?.lease
    if (!lease) {
      seen.delete(name)
      return
    }
    const { counter } = lease
    const before = seen.get(name)
    const sinceMs = before?.counter === counter ? before.sinceMs : clock.monotonicMs()
    const owner = isEnded(lease) ? undefined : lease.owner
    seen.set(name, { counter, reader: readerOf(lease), owner, sinceMs })
  }
  const stop = view.onChange(look)
  view.names().forEach(look)
  const isLive = ({ sinceMs }: SeenLease) => clock.monotonicMs() - sinceMs <= failoverMs

  return {
    hasPositions: () => seen.size > 0,
    hasReaderBut: (generation) =>
      [...seen.values()].some(
        (lease) =>
          lease.reader !== undefined &&
          !(generation !== undefined && lease.reader.startsWith(`${generation}@`)) &&
          isLive(lease),
      ),
    owners: () =>
      [...seen.values()].flatMap((lease) =>
        lease.owner !== undefined && isLive(lease) ? [lease.owner] : [],
      ),
    async remove() {
      await view.caughtUp()
      for (const name of view.names()) {
        const entry = view.get(name)
        if (entry) await view.remove(name, entry.revision)
      }
    },
    close: stop,
  }
}

/** The checkpoints of a mapping whose shards the nodes of a cluster share. */
export function sharedCheckpointsOf(
  leases: ClusterState,
  settings: MappingSettings,
  {
    node,
    generation,
    isBusier,
  }: {
    readonly node: string
    readonly generation: string
    readonly isBusier: (worker: string) => boolean
  },
): SharedCheckpoints {
  const { usual, withWindow } = checkpointIntervalMs
  const store: LeaseStore = {
    openLeases: (scope) =>
      openStateLeaseTable(leases, { scope, place: leases.place, close: () => undefined }),
  }
  const leaseSettings = leaseSettingsOf({
    failoverMs,
    checkpointIntervalMs: settings.TumblingWindowInSeconds > 0 ? withWindow : usual,
  })
  return createSharedCheckpoints(store, leaseSettings, {
    workerId: `${generation}@${node}`,
    isBusier,
  })
}
