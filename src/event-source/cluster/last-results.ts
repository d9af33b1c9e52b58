import type { Clock } from '../../base/clock.ts'
import type { StateView } from '../../cluster/state/cluster-state.ts'
import { noResult } from '../mapping-entries.ts'

/**
 * The last results of mappings, which all nodes show: an entry `result.<UUID>` for each, in the
 * words of Lambda.
 *
 * Invariant: a node writes when what it has seen last differs from what all show, at most once a
 * second for a mapping. So results that alternate cost no more than that, and equal ones nothing.
 */
export interface LastResults {
  of(uuid: string): string
  readonly note: (uuid: string, text: string) => void
  /** @throws SluiceError ServiceUnavailableException (rejects) */
  remove(uuid: string): Promise<void>
}

export const resultKind = 'result'
const intervalMs = 1_000

/** @param signal ends the writes that wait */
export function createLastResults(
  { view, clock }: { readonly view: StateView; readonly clock: Pick<Clock, 'sleep'> },
  signal: AbortSignal,
): LastResults {
  /** What is to be written, of mappings that this node works on. */
  const noted = new Map<string, string>()
  const writing = new Set<string>()
  const shown = (uuid: string) => view.get(uuid)?.value.toString() ?? noResult

  async function write(uuid: string): Promise<void> {
    for (let text = noted.get(uuid); text !== undefined; text = noted.get(uuid)) {
      noted.delete(uuid)
      try {
        if (text !== shown(uuid)) await view.put(uuid, text, view.get(uuid)?.revision)
      } catch {
        // The next result is written again.
      }
      await clock.sleep(intervalMs, signal)
      if (signal.aborted) return
    }
  }

  return {
    of: shown,
    note(uuid, text) {
      if (signal.aborted || (!writing.has(uuid) && text === shown(uuid))) return
      noted.set(uuid, text)
      if (writing.has(uuid)) return
      writing.add(uuid)
      void write(uuid).finally(() => writing.delete(uuid))
    },
    async remove(uuid) {
      noted.delete(uuid)
      const entry = view.get(uuid)
      if (entry) await view.remove(uuid, entry.revision)
    },
  }
}
