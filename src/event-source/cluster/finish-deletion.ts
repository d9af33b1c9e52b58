import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { StateView } from '../../cluster/state/cluster-state.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { ClusterEntry } from './cluster-entry.ts'
import type { LastResults } from './last-results.ts'

/** After a deletion, until a node that has just started to work on the mapping is seen. */
const deletionGraceMs = 1_000
const deletionRetryMs = 500

/** Removes what is left of a mapping when no node works on it any more. Each node tries. */
export async function finishDeletion(
  {
    view,
    results,
    clock,
    logger,
  }: {
    readonly clock: Pick<Clock, 'sleep'>
    readonly logger: Pick<Logger, 'error'>
    readonly view: StateView
    readonly results: LastResults
  },
  { record, runner, leases }: ClusterEntry,
  signal: AbortSignal,
): Promise<void> {
  const { uuid } = record.stored
  await runner.settled()
  await clock.sleep(deletionGraceMs, signal)
  while (!signal.aborted) {
    const found = view.get(uuid)
    if (!found) return
    try {
      if (!leases.hasReaderBut(undefined)) {
        await leases.remove()
        await results.remove(uuid)
        if (await view.remove(uuid, found.revision)) return
      }
    } catch (thrown) {
      // The cluster cannot be reached: a node that can reach it does this, or this one later.
      if (!(thrown instanceof SluiceError)) {
        logger.error({ err: thrown, mapping: uuid }, 'an event source mapping cannot be deleted')
      }
    }
    await clock.sleep(deletionRetryMs, signal)
  }
}
