import { changeDrainMs } from '../mapping-entries.ts'
import type { RunningMapping } from '../mapping-runner.ts'

/**
 * The work of this node on one mapping. It follows what is wanted: a runner of other settings stops
 * before the next one starts.
 */
export interface NodeRunner<Settings extends { readonly generation: string }> {
  /** @param settings undefined: nothing is to run */
  want(settings: Settings | undefined): void
  /** Resolves when what is wanted runs. */
  settled(): Promise<void>
  /** Ends all work; nothing is started afterwards. */
  stop(drainMs: number): Promise<void>
}

/** @param onError called when a runner cannot be started or stopped */
export function createNodeRunner<Settings extends { readonly generation: string }>(
  start: (settings: Settings) => RunningMapping,
  onError: (thrown: unknown) => void,
): NodeRunner<Settings> {
  let wanted: Settings | undefined
  let running: { readonly generation: string; readonly mapping: RunningMapping } | undefined
  let work: Promise<void> | undefined
  let isStopping = false

  async function bring(): Promise<void> {
    // The request is answered first.
    await Promise.resolve()
    while (running?.generation !== wanted?.generation) {
      const before = running
      if (before) {
        await before.mapping.stop(changeDrainMs)
        running = undefined
      } else if (wanted) {
        running = { generation: wanted.generation, mapping: start(wanted) }
      }
    }
  }
  function follow(): void {
    if (work || running?.generation === wanted?.generation) return
    work = bring()
      .catch((thrown: unknown) => {
        wanted = undefined
        onError(thrown)
      })
      .finally(() => {
        work = undefined
        // It may have changed since the last look.
        follow()
      })
  }

  async function settled(): Promise<void> {
    if (!work) return
    await work
    await settled()
  }

  return {
    want(settings) {
      if (isStopping) return
      wanted = settings
      follow()
    },
    settled,
    async stop(drainMs) {
      isStopping = true
      wanted = undefined
      await Promise.all([running?.mapping.stop(drainMs), work])
      await running?.mapping.stop(drainMs)
    },
  }
}
