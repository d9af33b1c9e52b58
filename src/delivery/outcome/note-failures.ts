import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import { actionLabel } from '../../outbox/outbox.ts'
import type { QueuedRecord, RecordToGiveUp } from '../../outbox/outbox.ts'
import { lastFailureOf } from '../../telemetry/rule-statistics.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'

/**
 * Notes why records of a call failed, as the last failure of their actions. Called only for calls
 * that did not succeed as a whole.
 *
 * @param atMs epoch milliseconds
 */
export function noteFailures(
  { ruleStatistics }: Pick<Metrics, 'ruleStatistics'>,
  records: readonly Pick<QueuedRecord, 'ruleName' | 'actionIndex'>[],
  outcome: CallOutcome,
  atMs: number,
): void {
  for (const [index, { ruleName, actionIndex }] of records.entries()) {
    const ofRecord = outcome.answered ? outcome.records[index] : { ok: false as const, ...outcome }
    if (ofRecord === undefined || ofRecord.ok) continue
    const counts = ruleStatistics.ofAction(ruleName, actionLabel(actionIndex))
    counts.lastFailure = lastFailureOf('retried', atMs, ofRecord.failure)
  }
}

/** Counts records that are given up, for their actions. */
export function noteGivenUp(
  { ruleStatistics }: Pick<Metrics, 'ruleStatistics'>,
  givenUp: readonly RecordToGiveUp[],
): void {
  for (const { record, reason, lastMs } of givenUp) {
    const counts = ruleStatistics.ofAction(record.ruleName, actionLabel(record.actionIndex))
    counts.givenUp += 1
    counts.lastFailure = lastFailureOf('givenUp', lastMs, reason)
  }
}
