import { SluiceError } from '../base/errors.ts'
import type { Destinations } from './books/destinations.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import type { GivenUpReason } from './store/dead-letter-codec.ts'
import type { Destination } from './store/destination.ts'
import type { StoredDeadLetter } from './store/outbox-store.ts'
import type { NewRecord } from './store/queued-record.ts'
import { decodeRecord, decodeSource } from './store/record-codec.ts'
import { noDestinationId } from './store/record-key.ts'
import type { SourceMessage } from './store/source-message.ts'

/**
 * A record that was given up: its stream did not take it, and no error action replaced it. Or an
 * action that failed for a message, and no error action took the failure: then there is no record.
 */
export interface DeadLetter {
  /** A decimal number. Ids grow in the order in which the records were accepted. */
  readonly id: string
  readonly ruleName: string
  /** `errorActionIndex` for the rule's error action. */
  readonly actionIndex: number
  readonly reason: GivenUpReason
  /** How many calls failed, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  readonly acceptedAtMs: number
  /** The field of the rule that failed, for an action that failed. */
  readonly field?: string | undefined
  /** Absent for an action that failed. */
  readonly destination?: Destination | undefined
  readonly partitionKey?: string | undefined
  readonly explicitHashKey?: string | undefined
  /** For an action that failed, the result of the rule's SELECT, as far as there is one. */
  readonly data: Buffer
  /** The call that delivers the record. Absent: the record goes into a stream. */
  readonly call?: string | undefined
  readonly source: SourceMessage
}

/**
 * The records that the rule, as it is now, makes of the message: they replace the dead letter.
 * Undefined keeps the dead letter.
 */
export type ReplayByRule = (
  deadLetter: DeadLetter,
) => readonly NewRecord[] | undefined | Promise<readonly NewRecord[] | undefined>

/** @throws SluiceError DataFolderUnusable when it cannot be read */
export function deadLetterOf(
  destinations: Pick<Destinations, 'entryWithId'>,
  { id, value }: StoredDeadLetter,
): DeadLetter {
  const { record, destinationId, ...deadLetter } = decodeDeadLetter(value)
  const entry = destinations.entryWithId(destinationId)
  if (!entry) throw withoutDestination(id)
  return {
    id: String(id),
    ...deadLetter,
    ...decodeRecord(record),
    ...(entry.id === noDestinationId
      ? { partitionKey: undefined }
      : { destination: entry.destination }),
    source: decodeSource(record),
  }
}

export function withoutDestination(id: number): SluiceError {
  return new SluiceError('DataFolderUnusable', `Dead letter ${id} lacks its destination`)
}
