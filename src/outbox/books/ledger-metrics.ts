import type { Metrics } from '../../telemetry/telemetry.ts'
import type { CounterSums } from './counters.ts'
import type { DestinationTable } from './destinations.ts'
import type { LedgerRow } from './ledger.ts'
import { actionLabel } from '../store/new-record.ts'

/** Keeps the metrics equal to the ledger and to what the outbox holds. */
export interface LedgerMetrics {
  /** The ledger has changed by this. */
  moved(sums: CounterSums<LedgerRow>): void
  /** Sets the gauges. */
  publish(): void
}

export type LedgerMetricNames =
  | 'outboxRecords'
  | 'outboxBytes'
  | 'deadLetters'
  | 'deadLetterBytes'
  | 'recordsAccepted'
  | 'recordsDelivered'
  | 'recordsHandedOver'
  | 'recordsDeadLettered'
  | 'recordsDropped'

export function createLedgerMetrics(
  table: DestinationTable,
  metrics: Pick<Metrics, LedgerMetricNames>,
): LedgerMetrics {
  function publish(): void {
    const { records, bytes, letters, letterBytes } = table.total()
    metrics.outboxRecords.set(records)
    metrics.outboxBytes.set(bytes)
    metrics.deadLetters.set(letters)
    metrics.deadLetterBytes.set(letterBytes)
  }

  return {
    moved(sums: CounterSums<LedgerRow>) {
      for (const [{ ruleName, actionIndex }, delta] of sums.entries()) {
        const labels = { rule: ruleName, action: actionLabel(actionIndex) }
        const [accepted = 0, delivered = 0, , deadLettered = 0, dropped = 0, handedOver = 0] = delta
        if (accepted > 0) metrics.recordsAccepted.inc(labels, accepted)
        if (delivered > handedOver) metrics.recordsDelivered.inc(labels, delivered - handedOver)
        if (handedOver > 0) metrics.recordsHandedOver.inc(labels, handedOver)
        if (deadLettered > 0) metrics.recordsDeadLettered.inc(labels, deadLettered)
        if (dropped > 0) metrics.recordsDropped.inc(labels, dropped)
      }
      publish()
    },
    publish,
  }
}
