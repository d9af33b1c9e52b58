import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type { Clock } from '../../base/clock.ts'
import type { Destination, Outbox, QueuedRecord, RecordToGiveUp } from '../../outbox/outbox.ts'
import { targetOf } from '../../outbox/outbox.ts'
import type { MessageWatch } from '../../watch/message-watch.ts'

/** Tells those who watch what became of the records of a destination. */
export interface RecordWatch {
  /** While it is not active, nothing below is to be called. */
  readonly watch: Pick<MessageWatch, 'active'>
  answered(records: readonly QueuedRecord[], outcome: CallOutcome): void
  givenUp(records: readonly RecordToGiveUp[]): void
}

interface RecordWatchDependencies {
  readonly watch: MessageWatch
  readonly outbox: Pick<Outbox, 'sourceOf'>
  readonly clock: Clock
}

export function createRecordWatch(
  { watch, outbox, clock }: RecordWatchDependencies,
  destination: Destination,
): RecordWatch {
  const { kind } = destination
  const target = targetOf(destination)

  /** Undefined: nobody watches the message of the record. */
  const factsOf = (record: QueuedRecord) => {
    const { messageId, timestampMs } = outbox.sourceOf(record)
    if (!watch.follows(messageId)) return undefined
    const { ruleName, actionIndex } = record
    const latencyMs = clock.wallMs() - timestampMs
    return { messageId, latencyMs, ruleName, actionIndex, kind, destination: target }
  }

  return {
    watch,
    answered(records, outcome) {
      if (!outcome.answered) return
      for (const [index, record] of records.entries()) {
        const of = outcome.records[index]
        if (of?.ok !== true) continue
        const facts = factsOf(record)
        if (facts === undefined) continue
        const { shardId, sequenceNumber } = of
        watch.delivered({ ...facts, shardId, sequenceNumber, callRecords: records.length })
      }
    },
    givenUp(records) {
      for (const { record, reason, replacements } of records) {
        const facts = factsOf(record)
        if (facts === undefined) continue
        const followedBy = replacements === undefined ? 'deadLetter' : 'errorAction'
        watch.failed({ ...facts, reason: `${reason.code}: ${reason.message}`, followedBy })
      }
    },
  }
}
