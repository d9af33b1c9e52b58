/**
 * The mappings of a cluster, in the state that its nodes share.
 *
 *     mapping.<UUID>  in the state of rules: the mapping (mapping-record.ts)
 *     lease-...       in a bucket of their own: positions and readers of shards (mapping-leases.ts)
 *     result.<UUID>   there, too: the last result (last-results.ts)
 *
 * Invariants:
 * - A change is written over the revision that its author has read: of two nodes that change a
 *   mapping at once, one is told that it is in use.
 * - Every node works on every enabled mapping, and their leases decide who reads which shard.
 * - The state of a mapping follows from its record and its leases, so that all nodes show the same:
 *   a change is in progress while a live node works with other settings.
 * - A mapping that is deleted stays, without a reader, until its leases are removed.
 */
import { messageOf } from '../../base/errors.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import type { StateEntry } from '../../cluster/state/shared-state.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { MappingParts, OpenedMappings } from '../event-source-mappings.ts'
import { runMapping } from '../mapping-runner.ts'
import { createClusterChanges } from './cluster-changes.ts'
import { createEntryReads } from './cluster-entry.ts'
import type { ClusterEntry } from './cluster-entry.ts'
import { finishDeletion } from './finish-deletion.ts'
import { createLastResults, resultKind } from './last-results.ts'
import { createMappingLeases, sharedCheckpointsOf } from './mapping-leases.ts'
import { mappingKind, readMappingRecord } from './mapping-record.ts'
import type { MappingRecord } from './mapping-record.ts'
import { createNodeBalance } from './node-balance.ts'
import { createNodeRunner } from './node-runner.ts'

interface ClusterMappingsOptions {
  readonly state: Pick<ClusterState, 'view' | 'place'>
  /** Of the leases and the last results. */
  readonly leases: ClusterState
  /** Tells this node from others. */
  readonly node: string
}

/** Opens the mappings of a cluster at one of its nodes. */
export function openClusterMappings(
  parts: MappingParts,
  options: ClusterMappingsOptions,
): OpenedMappings {
  const { clock, logger, batches, metrics } = parts
  const { state, leases } = options
  const view = state.view(mappingKind)
  const stopping = new AbortController()
  const { signal } = stopping
  const results = createLastResults({ view: leases.view(resultKind), clock }, signal)
  const entries = new Map<string, ClusterEntry>()
  const unusable = createUnusable(logger, state.place)
  const isBusier = createNodeBalance(clock, { entries, node: options.node })
  const open = createOpening(parts, { ...options, isBusier, onResult: results.note })
  let isStarted = false
  /** Work on mappings that are gone, as long as it takes to end. */
  const leaving = new Set<Promise<void>>()

  function bringIntoForce({ record, runner }: ClusterEntry): void {
    const isRunning = record.stored.settings.Enabled && !record.isDeleting
    if (isStarted) runner.want(isRunning ? record : undefined)
  }
  function forget(uuid: string): void {
    const entry = entries.get(uuid)
    if (!entry) return
    entries.delete(uuid)
    entry.runner.want(undefined)
    const left = entry.runner.settled().finally(() => leaving.delete(left))
    leaving.add(left)
    entry.leases.close()
    batches.forget(uuid)
    metrics.mappingRecordsFiltered.remove({ mapping: uuid })
  }
  /** Follows what the cluster holds of a mapping. */
  function look(uuid: string): void {
    const found = view.get(uuid)
    if (!found) {
      unusable.forget(uuid)
      forget(uuid)
      return
    }
    const record = unusable.read(uuid, found.value)
    if (!record) return
    const wasDeleting = entries.get(uuid)?.record.isDeleting === true
    const entry = entries.get(uuid) ?? open(record, found)
    Object.assign(entry, { record, revision: found.revision, value: found.value })
    entries.set(uuid, entry)
    bringIntoForce(entry)
    const isNew = record.isDeleting && !wasDeleting
    if (isNew) void finishDeletion({ view, results, clock, logger }, entry, signal)
  }
  const stopWatch = view.onChange(look)
  view.names().forEach(look)

  return {
    entries: {
      ...createEntryReads({ entries, results, clock }),
      ...createClusterChanges({ entries, results, view, isStopping: () => signal.aborted }),
      caughtUp: view.caughtUp,
      start() {
        isStarted = true
        for (const entry of entries.values()) bringIntoForce(entry)
      },
      stop: (drainMs) => stopAll(entries, drainMs),
    },
    unusable: () => unusable.keys(),
    async stop(drainMs) {
      stopWatch()
      stopping.abort()
      await Promise.all([stopAll(entries, drainMs), ...leaving])
      for (const { leases: own } of entries.values()) own.close()
    },
  }
}

async function stopAll(entries: ReadonlyMap<string, ClusterEntry>, drainMs: number): Promise<void> {
  await Promise.all([...entries.values()].map(({ runner }) => runner.stop(drainMs)))
}

/** @returns a function that makes the entry of a mapping, without starting work on it */
function createOpening(
  parts: MappingParts,
  {
    leases,
    node,
    isBusier,
    onResult,
  }: ClusterMappingsOptions & {
    readonly isBusier: (worker: string) => boolean
    readonly onResult: (uuid: string, text: string) => void
  },
): (record: MappingRecord, found: StateEntry) => ClusterEntry {
  const { clock, logger, accountIdNow, runMapping: start = runMapping } = parts
  return (first, { revision, value }) => {
    const { uuid } = first.stored
    const runner = createNodeRunner<MappingRecord>(
      ({ stored: { settings }, generation }) => {
        const checkpoints = sharedCheckpointsOf(leases, settings, { node, generation, isBusier })
        const options = {
          uuid,
          settings,
          accountIdNow,
          makesStream: parts.makeStream !== undefined,
        }
        return start(
          { ...parts, checkpoints },
          { ...options, onResult: (text) => onResult(uuid, text) },
        )
      },
      (thrown) =>
        logger.error({ err: thrown, mapping: uuid }, 'an event source mapping cannot be worked on'),
    )
    const own = createMappingLeases({ leases, clock }, uuid)
    return {
      record: first,
      revision,
      value,
      runner,
      leases: own,
      isWriting: false,
      next: undefined,
    }
  }
}

/** Entries that this release cannot use are logged; the last good version of each stays. */
function createUnusable(logger: Pick<Logger, 'error'>, place: string) {
  const reasons = new Map<string, string>()
  return {
    keys: () => [...reasons.keys()].map((uuid) => `${mappingKind}.${uuid}`).toSorted(),
    forget: (uuid: string): void => void reasons.delete(uuid),
    read: (uuid: string, value: Buffer): MappingRecord | undefined => {
      try {
        const record = readMappingRecord(uuid, value)
        reasons.delete(uuid)
        return record
      } catch (thrown) {
        const reason = messageOf(thrown)
        if (reasons.get(uuid) === reason) return undefined
        reasons.set(uuid, reason)
        logger.error(
          { mapping: uuid, reason },
          `an event source mapping of ${place} is not usable; its last good version stays`,
        )
        return undefined
      }
    },
  }
}
