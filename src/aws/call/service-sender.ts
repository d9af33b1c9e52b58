import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { CallOutcome } from '../call/call-outcome.ts'

/** What a call is made of. */
export interface CallRecord extends Pick<QueuedRecord, 'call' | 'data'> {
  /** The same record has the same one each time it is sent. Absent: it waits in no outbox. */
  readonly sequence?: number | undefined
}

/** Sends the records of one destination to their service. */
export interface ServiceSender<Sent extends CallRecord = QueuedRecord> {
  /** Records that one call takes: 1 for a service without a batch operation. */
  readonly recordsMax: number
  /** Bytes that one call takes, data and calls of its records together. */
  readonly bytesMax: number
  /** The operation that metrics name. */
  operationOf(records: readonly Sent[]): string
  /**
   * Sends records in one call. Each record has an outcome, unless the whole call failed.
   *
   * @param records 1 to `recordsMax`
   * @param signal ends the call
   * @returns never rejects
   */
  send(records: readonly Sent[], signal: AbortSignal): Promise<CallOutcome>
}
