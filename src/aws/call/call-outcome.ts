import type { Failure } from './failure-class.ts'

/** What became of one record of a call. */
export type RecordOutcome =
  | {
      readonly ok: true
      /** Of a record in a stream. */
      readonly shardId?: string | undefined
      readonly sequenceNumber?: string | undefined
    }
  | { readonly ok: false; readonly failure: Failure }

/**
 * What became of a call. An answered call holds one outcome per record, in the order of the
 * records: an answer does not mean that the service took any of them. A failed call took none, as
 * far as Sluice can know.
 */
export type CallOutcome =
  | { readonly answered: true; readonly records: readonly RecordOutcome[] }
  | { readonly answered: false; readonly failure: Failure }
