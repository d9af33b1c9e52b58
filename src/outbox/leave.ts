import type { Metrics } from '../telemetry/telemetry.ts'
import type { Admission, Placed } from './room.ts'

/**
 * Takes records off the count of those on their way to disk, once they are there or never will be.
 * That may let others in that wait.
 */
export type Leave = (placed: readonly Placed[]) => void

export function createLeave({
  admission,
  metrics,
}: {
  readonly admission: Admission
  readonly metrics: Pick<Metrics, 'outboxAppendsWaiting'>
}): Leave {
  return (placed) => {
    admission.done(placed)
    if (!admission.isWaiting()) return
    admission.roomMade(placed.map(({ entry }) => entry))
    metrics.outboxAppendsWaiting.set(admission.waiting().appends)
  }
}
