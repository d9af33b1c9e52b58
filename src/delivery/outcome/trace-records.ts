import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type {
  Outbox,
  QueuedDestination,
  QueuedRecord,
  RecordToGiveUp,
} from '../../outbox/outbox.ts'
import { targetOf } from '../../outbox/outbox.ts'
import type { RecordSpans, TracedOutcome, TracedRecord } from '../../traces/message-traces.ts'

/** Makes the spans of the traced records of a destination, and of the calls that they are in. */
interface TracedRecords {
  calling(
    operation: string,
    records: readonly QueuedRecord[],
  ): ((outcome: CallOutcome) => void) | undefined
  givenUp(records: readonly RecordToGiveUp[]): void
}

interface TracedRecordsDependencies {
  readonly spans: RecordSpans
  readonly outbox: Pick<Outbox, 'sourceOf' | 'messageIdOf'>
}

export function createTracedRecords(
  { spans, outbox }: TracedRecordsDependencies,
  { id, destination }: Pick<QueuedDestination, 'id' | 'destination'>,
): TracedRecords {
  const to = { kind: destination.kind, name: targetOf(destination) }

  const tracedOf = (record: QueuedRecord): TracedRecord | undefined => {
    const { sequence, acceptedAtMs, ruleName, actionIndex, bytes } = record
    const context = spans.contextOf({
      messageId: outbox.messageIdOf(record),
      acceptedAtMs,
      userProperties: () => outbox.sourceOf(record).mqtt5?.userProperties,
    })
    const key = `${id}/${sequence}`
    return context && { key, context, acceptedAtMs, ruleName, actionIndex, bytes }
  }

  return {
    calling(operation, records) {
      const traced: TracedRecord[] = []
      const indexes: number[] = []
      for (const [index, record] of records.entries()) {
        const one = tracedOf(record)
        if (one === undefined) continue
        traced.push(one)
        indexes.push(index)
      }
      if (traced.length === 0) return undefined
      const call = { destination: to, operation, recordCount: records.length }
      const ended = spans.call(call, traced)
      return (outcome) => ended(outcomeOf(outcome, indexes))
    },
    givenUp(records) {
      for (const { record, reason } of records) {
        const one = tracedOf(record)
        if (one !== undefined) spans.givenUp(to, one, reason.code)
      }
    },
  }
}

function outcomeOf(outcome: CallOutcome, indexes: readonly number[]): TracedOutcome {
  if (!outcome.answered) return { failure: outcome.failure.code, records: [] }
  return {
    records: indexes.map((index) => {
      const of = outcome.records[index]
      if (of?.ok !== true) return { ok: false, failure: of?.failure.code }
      return { ok: true, shardId: of.shardId, sequenceNumber: of.sequenceNumber }
    }),
  }
}
