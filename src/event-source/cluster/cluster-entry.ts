import type { Clock } from '../../base/clock.ts'
import { restingState } from '../mapping-entries.ts'
import type { MappingEntries, MappingEntry, MappingState } from '../mapping-entries.ts'
import type { StoredMapping } from '../mapping-files.ts'
import type { LastResults } from './last-results.ts'
import type { MappingLeases } from './mapping-leases.ts'
import type { MappingRecord } from './mapping-record.ts'
import type { NodeRunner } from './node-runner.ts'

const settledLookMs = 50

/** A mapping of a cluster as one node sees it. */
export interface ClusterEntry {
  record: MappingRecord
  revision: number
  /** What the record was read from. */
  value: Buffer
  readonly leases: MappingLeases
  readonly runner: NodeRunner<MappingRecord>
  /** A change that this node is writing. */
  isWriting: boolean
  next: StoredMapping | undefined
}

export interface EntryDependencies {
  /** By UUID. */
  readonly entries: ReadonlyMap<string, ClusterEntry>
  readonly results: LastResults
}

export function createEntryReads({
  entries,
  results,
  clock,
}: EntryDependencies & { readonly clock: Pick<Clock, 'sleep'> }): Pick<
  MappingEntries,
  'all' | 'find' | 'isChanging' | 'settled'
> {
  const isChanging = (uuid: string) => {
    const entry = entries.get(uuid)
    return entry !== undefined && (entry.isWriting || isInProgress(entry))
  }
  return {
    all: () => [...entries.values()].map((entry) => viewOf(entry, results)),
    find(uuid) {
      const entry = entries.get(uuid)
      return entry && viewOf(entry, results)
    },
    isChanging,
    async settled(uuid) {
      while (isChanging(uuid)) {
        await entries.get(uuid)?.runner.settled()
        await clock.sleep(settledLookMs)
      }
    },
  }
}

const generationOfRunning = ({ record: { stored, generation } }: ClusterEntry) =>
  stored.settings.Enabled ? generation : undefined

/** Whether the last change is not in force at all nodes. */
const isInProgress = (entry: ClusterEntry): boolean =>
  entry.record.isDeleting || entry.leases.hasReaderBut(generationOfRunning(entry))

function stateOf(entry: ClusterEntry): MappingState {
  const { stored, isDeleting } = entry.record
  const { Enabled, StartingPosition } = stored.settings
  if (isDeleting) return 'Deleting'
  if (isInProgress(entry)) return Enabled ? 'Updating' : 'Disabling'
  // At LATEST a record that is put before the positions are known would be skipped.
  const isPositioned = StartingPosition !== 'LATEST' || entry.leases.hasPositions()
  return Enabled && !isPositioned ? 'Creating' : restingState(stored)
}

export function viewOf(
  entry: ClusterEntry,
  results: LastResults,
  state?: MappingState,
): MappingEntry {
  const { stored } = entry.record
  const { next, revision } = entry
  const lastResult = () => results.of(stored.uuid)
  return { stored, next, revision, state: state ?? stateOf(entry), lastResult }
}
