import type { Clock } from '../../base/clock.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import { createHeldBytes } from './held-bytes.ts'
import type { HeldBytes } from './held-bytes.ts'

interface ReportedDependencies {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: LimitedLog
}

/** The memory for messages, with its gauge, and lines of the log when publishers are held back. */
export function createReportedHeldBytes(
  { clock, metrics, log }: ReportedDependencies,
  options: Parameters<typeof createHeldBytes>[1],
): HeldBytes {
  const heldBytes = createHeldBytes(
    {
      clock,
      stallChanged(isStalled) {
        const about = { heldBytes: heldBytes.total }
        if (!isStalled) {
          log.warn('stall_over', about, 'publishers go on')
          return
        }
        metrics.mqttStalls.inc()
        const text = 'publishers are held back: the memory for messages is full, and none is freed'
        log.error('stall', about, text)
      },
    },
    options,
  )
  metrics.mqttHeldBytes.readFrom(() => heldBytes.total)
  return heldBytes
}
