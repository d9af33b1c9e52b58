import type { Destination } from './destination.ts'
import {
  callOf,
  dataOf,
  decodeFacts,
  decodeSource,
  encodeRecord,
  payloadBytesOf,
} from './record-codec.ts'
import type { DeliveredPart } from './record-codec.ts'
import type { SourceMessage } from './source-message.ts'

/** A record that an action of a rule made for a message. */
export interface NewRecord {
  readonly destination: Destination
  readonly partitionKey: string
  /** Decimal, 0 to 2^128 - 1: chooses the shard instead of the partition key. */
  readonly explicitHashKey?: string | undefined
  readonly data: Buffer
  /** The call that delivers the record, for its sender. Absent: the record goes into a stream. */
  readonly call?: string | undefined
  /** The rule that made the record, for the ledger and for messages. */
  readonly ruleName: string
  /** `actions[<index>]` of that rule; `errorActionIndex` for its error action. */
  readonly actionIndex: number
  readonly source: SourceMessage
  /** Set when the action failed: instead of a record there is a dead letter, of no destination. */
  readonly failed?: FailedAction | undefined
  /** What `encodeRecord` makes of it, when that is known: then its source is not read for it. */
  readonly encoded?: Buffer | undefined
}

/** Why an action of a rule made no record of a message. */
export interface FailedAction {
  readonly code: string
  readonly message: string
  /** The field of the rule that failed, such as `actions[0].kinesis.partitionKey`, or `sql`. */
  readonly field: string
}

/** Stands for a rule's error action where an action's index does. */
export const errorActionIndex = -1

/** What metrics call an action: its index, or `errorAction`. */
export function actionLabel(actionIndex: number): string {
  return actionIndex === errorActionIndex ? 'errorAction' : String(actionIndex)
}

/** A record that waits for delivery. Sequences grow in the order of appends, with gaps. */
export interface QueuedRecord extends DeliveredPart {
  readonly sequence: number
  /** Bytes of data and partition key, as Kinesis counts them, and of the call. */
  readonly bytes: number
  /** The bytes on disk; see `sourceOf`. */
  readonly stored: Buffer
  /** What it shares with other records. */
  readonly message?: SharedMessage | undefined
}

/** A message that several records share: it is stored once for them, as a record of its own. */
export interface SharedMessage {
  /** Its sequence. */
  readonly id: number
  readonly value: Buffer
}

/** How much of a queue is read. */
export interface ReadLimits {
  readonly countMax: number
  /** The first record is given even if it is larger. */
  readonly bytesMax: number
}

type Position = Pick<QueuedRecord, 'sequence' | 'bytes' | 'stored' | 'message' | 'acceptedAtMs'>
type Facts = Pick<QueuedRecord, 'ruleName' | 'actionIndex' | 'partitionKey' | 'explicitHashKey'>

/**
 * Thousands of records are in memory at a time, so each is as small as possible: `data` makes a
 * view of the stored bytes whenever it is read, and keeps none. Records share their message.
 */
class StoredRecord implements QueuedRecord {
  readonly sequence: number
  readonly bytes: number
  readonly stored: Buffer
  readonly message: SharedMessage | undefined
  readonly acceptedAtMs: number
  readonly ruleName: string
  readonly actionIndex: number
  readonly partitionKey: string
  readonly explicitHashKey: string | undefined

  constructor(position: Position, { ruleName, actionIndex, partitionKey, explicitHashKey }: Facts) {
    this.sequence = position.sequence
    this.bytes = position.bytes
    this.stored = position.stored
    this.message = position.message
    this.acceptedAtMs = position.acceptedAtMs
    this.ruleName = ruleName
    this.actionIndex = actionIndex
    this.partitionKey = partitionKey
    this.explicitHashKey = explicitHashKey
  }

  get data(): Buffer {
    return dataOf(this.stored, this.message?.value)
  }

  get call(): string | undefined {
    return callOf(this.stored)
  }
}

/** A record that has just got its sequence, with the bytes that will be on disk. */
export function newQueuedRecord(
  record: NewRecord,
  position: Omit<Position, 'bytes'>,
): QueuedRecord {
  const { sequence, acceptedAtMs, stored, message } = position
  const callBytes = record.call === undefined ? 0 : Buffer.byteLength(record.call)
  const bytes = record.data.length + Buffer.byteLength(record.partitionKey) + callBytes
  return new StoredRecord({ sequence, bytes, stored, message, acceptedAtMs }, record)
}

/**
 * @param message what it shares with other records
 * @throws SluiceError DataFolderUnusable when the bytes are not those of a record
 */
export function queuedRecord(
  sequence: number,
  stored: Buffer,
  message?: SharedMessage,
): QueuedRecord {
  const facts = decodeFacts(stored)
  const { acceptedAtMs } = facts
  const bytes = payloadBytesOf(stored)
  return new StoredRecord({ sequence, bytes, stored, message, acceptedAtMs }, facts)
}

/** The bytes of a record, or others that say the same and share nothing. */
export function wholeValueOf(record: QueuedRecord): Buffer {
  const { stored, message, acceptedAtMs } = record
  if (message === undefined) return stored
  const { ruleName, actionIndex, partitionKey, explicitHashKey, data, call } = record
  const source = decodeSource(stored, message.value)
  const given = { ruleName, actionIndex, partitionKey, explicitHashKey, data, call, source }
  return encodeRecord(given, acceptedAtMs)
}
