import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import { actionLabel } from '../../outbox/outbox.ts'
import type { QueuedRecord, RecordToGiveUp } from '../../outbox/outbox.ts'
import { lastFailureOf } from '../../telemetry/rule-statistics.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { RecordWatch } from './watch-records.ts'

interface Noting {
  readonly metrics: Pick<Metrics, 'ruleStatistics'>
  readonly recordWatch: Pick<RecordWatch, 'shown'>
}

/**
 * Notes why records of a call failed, as the last failure of their actions. Called only for calls
 * that did not succeed as a whole.
 *
 * @param atMs epoch milliseconds
 */
export function noteFailures(
  { metrics: { ruleStatistics }, recordWatch }: Noting,
  records: readonly QueuedRecord[],
  outcome: CallOutcome,
  atMs: number,
): void {
  for (const [index, record] of records.entries()) {
    const ofRecord = outcome.answered ? outcome.records[index] : { ok: false as const, ...outcome }
    if (ofRecord === undefined || ofRecord.ok) continue
    const { code, message } = ofRecord.failure
    const counts = ruleStatistics.ofAction(record.ruleName, actionLabel(record.actionIndex))
    const shown = { code, message: recordWatch.shown(record, message) }
    counts.lastFailure = lastFailureOf('retried', atMs, shown)
  }
}

/** Counts records that are given up, for their actions. */
export function noteGivenUp(
  { metrics: { ruleStatistics }, recordWatch }: Noting,
  givenUp: readonly RecordToGiveUp[],
): void {
  for (const { record, reason, lastMs } of givenUp) {
    const counts = ruleStatistics.ofAction(record.ruleName, actionLabel(record.actionIndex))
    counts.givenUp += 1
    const shown = { ...reason, message: recordWatch.shown(record, reason.message) }
    counts.lastFailure = lastFailureOf('givenUp', lastMs, shown)
  }
}
