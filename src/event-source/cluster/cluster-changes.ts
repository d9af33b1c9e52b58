import { SluiceError } from '../../base/errors.ts'
import type { StateView } from '../../cluster/state/cluster-state.ts'
import { inUse } from '../mapping-api.ts'
import { changingState } from '../mapping-entries.ts'
import type { MappingEntries, Tags } from '../mapping-entries.ts'
import type { StoredMapping } from '../mapping-files.ts'
import { viewOf } from './cluster-entry.ts'
import type { ClusterEntry, EntryDependencies } from './cluster-entry.ts'
import { textOfMapping } from './mapping-record.ts'

const tagAttemptsMax = 5

/** The changes that are written to the cluster first. */
export function createClusterChanges({
  entries,
  results,
  view,
  isStopping,
}: EntryDependencies & {
  readonly view: StateView
  readonly isStopping: () => boolean
}): Pick<MappingEntries, 'add' | 'replace' | 'remove' | 'setTags'> {
  const refuseStopping = () => {
    if (!isStopping()) return
    throw new SluiceError('ServiceUnavailableException', 'The engine is stopping: try again later.')
  }
  /** @returns undefined when the mapping was changed since this node has seen it */
  async function write(entry: ClusterEntry, text: string): Promise<ClusterEntry | undefined> {
    const { uuid } = entry.record.stored
    entry.isWriting = true
    try {
      const found = view.get(uuid)
      if (found?.value.toString() === text) return entry
      // Nobody is told of a write that changes nothing, but it has a revision of its own.
      const isKnown = found?.value.equals(entry.value) === true
      const revision = isKnown ? found.revision : entry.revision
      const written = await view.put(uuid, text, revision)
      return written && entry
    } finally {
      entry.isWriting = false
      entry.next = undefined
    }
  }
  const existing = (uuid: string): ClusterEntry => {
    const entry = entries.get(uuid)
    if (!entry) throw new Error(`there is no mapping ${uuid}`)
    return entry
  }

  return {
    async add(stored) {
      refuseStopping()
      const { uuid } = stored
      if (!(await view.put(uuid, textOfMapping(stored), undefined))) throw inUse('update')
      // What other nodes made meanwhile has to be here. If it cannot be known, it is not known.
      await view.caughtUp().catch(() => undefined)
      return viewOf(existing(uuid), results, 'Creating')
    },
    async replace(stored) {
      refuseStopping()
      const entry = existing(stored.uuid)
      const state = changingState(entry.record.stored, stored)
      entry.next = stored
      if (!(await write(entry, textOfMapping(stored)))) throw inUse('update')
      return viewOf(entry, results, state)
    },
    async remove(uuid) {
      refuseStopping()
      const entry = existing(uuid)
      if (!(await write(entry, textOfMapping(entry.record.stored, true)))) throw inUse('delete')
      return viewOf(entry, results, 'Deleting')
    },
    setTags: async (uuid, change) => {
      for (let attempt = 1; ; attempt++) {
        refuseStopping()
        const entry = entries.get(uuid)
        if (!entry || entry.record.isDeleting) return false
        if (await write(entry, textOfMapping(withTags(entry.record.stored, change)))) return true
        if (attempt === tagAttemptsMax) throw inUse('update')
        await view.caughtUp()
      }
    },
  }
}

const withTags = (stored: StoredMapping, change: (tags: Tags) => Tags): StoredMapping => ({
  ...stored,
  tags: change(stored.tags ?? {}),
})
