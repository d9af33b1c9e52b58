import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type { Clock } from '../../base/clock.ts'
import type {
  Destination,
  Outbox,
  QueuedDestination,
  QueuedRecord,
  RecordToGiveUp,
} from '../../outbox/outbox.ts'
import { targetOf } from '../../outbox/outbox.ts'
import type { RecordSpans } from '../../traces/message-traces.ts'
import type { MessageWatch } from '../../watch/message-watch.ts'
import { createTracedRecords } from './trace-records.ts'

/** Tells the observers what becomes of the records of a destination. */
export interface RecordWatch {
  /** Whether there are traces or a log. Without them nothing is called while nobody watches. */
  readonly isConstant: boolean
  readonly watch: Pick<MessageWatch, 'active'>
  /**
   * A call is about to be made.
   *
   * @returns to be called with its outcome
   */
  calling(operation: string, records: readonly QueuedRecord[]): (outcome: CallOutcome) => void
  givenUp(records: readonly RecordToGiveUp[]): void
  /** A text on a record, such as a reason, as people may see it; also while nobody watches. */
  shown(record: QueuedRecord, text: string): string
}

/** Writes what became of a record into a log. */
export interface RecordLog {
  /** @param failure why the record was given up; absent: its service took it */
  ended(record: QueuedRecord, failure?: string): void
}

/** The observers of records. */
export interface RecordObservers {
  /** Absent: nobody can watch. */
  readonly watch?: MessageWatch | undefined
  /** Absent: no traces are made. */
  readonly recordSpans?: RecordSpans | undefined
  /** Makes the log for a destination; absent: nothing is written. */
  readonly recordLogOf?: ((destination: Destination) => RecordLog) | undefined
}

interface RecordWatchDependencies extends RecordObservers {
  readonly watch: MessageWatch
  readonly outbox: Pick<Outbox, 'sourceOf' | 'messageIdOf'>
  readonly clock: Clock
}

export function createRecordWatch(
  { watch, outbox, clock, recordSpans, recordLogOf }: RecordWatchDependencies,
  queued: Pick<QueuedDestination, 'id' | 'destination'>,
): RecordWatch {
  const { destination } = queued
  const watched = createWatchedRecords({ watch, outbox, clock }, destination)
  const traced = recordSpans && createTracedRecords({ spans: recordSpans, outbox }, queued)
  const log = recordLogOf?.(destination)

  return {
    watch,
    isConstant: traced !== undefined || log !== undefined,
    calling(operation, records) {
      const ofTraces = traced?.calling(operation, records)
      return (outcome) => {
        ofTraces?.(outcome)
        if (!outcome.answered) return
        if (watch.active) watched.answered(records, outcome)
        if (log === undefined) return
        for (const [index, record] of records.entries()) {
          if (outcome.records[index]?.ok === true) log.ended(record)
        }
      }
    },
    givenUp(records) {
      if (watch.active) watched.givenUp(records)
      traced?.givenUp(records)
      for (const { record, reason } of log === undefined ? [] : records) {
        log?.ended(record, `${reason.code}: ${reason.message}`)
      }
    },
    shown: (record, text) =>
      watch.redaction?.of(outbox.sourceOf(record).payload).text(text) ?? text,
  }
}

type Answered = Extract<CallOutcome, { readonly answered: true }>

/** Tells the watchers of messages. */
function createWatchedRecords(
  { watch, outbox, clock }: Pick<RecordWatchDependencies, 'watch' | 'outbox' | 'clock'>,
  destination: Destination,
) {
  const { kind } = destination
  const target = targetOf(destination)

  /** Undefined: nobody watches the message of the record. */
  const factsOf = (record: QueuedRecord) => {
    // Most records belong to messages that nobody follows: only their ids are decoded.
    const messageId = outbox.messageIdOf(record)
    if (!watch.follows(messageId)) return undefined
    const { timestampMs, payload } = outbox.sourceOf(record)
    const redaction = watch.redaction?.of(payload)
    const shown = (text: string) => redaction?.text(text) ?? text
    const { ruleName, actionIndex } = record
    const latencyMs = clock.wallMs() - timestampMs
    const facts = { messageId, latencyMs, ruleName, actionIndex, kind, destination: shown(target) }
    return { facts, shown }
  }

  return {
    answered(records: readonly QueuedRecord[], outcome: Answered): void {
      for (const [index, record] of records.entries()) {
        const of = outcome.records[index]
        if (of?.ok !== true) continue
        const { facts } = factsOf(record) ?? {}
        if (facts === undefined) continue
        const { shardId, sequenceNumber } = of
        watch.delivered({ ...facts, shardId, sequenceNumber, callRecords: records.length })
      }
    },
    givenUp(records: readonly RecordToGiveUp[]): void {
      for (const { record, reason, replacements } of records) {
        const of = factsOf(record)
        if (of === undefined) continue
        const followedBy = replacements === undefined ? 'deadLetter' : 'errorAction'
        const why = of.shown(`${reason.code}: ${reason.message}`)
        watch.failed({ ...of.facts, reason: why, followedBy })
      }
    },
  }
}
