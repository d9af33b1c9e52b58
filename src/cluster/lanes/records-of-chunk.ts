import type { Destination, NewRecord } from '../../outbox/outbox.ts'
import { decodeDeadLetter, encodeDeadLetter } from '../../outbox/store/dead-letter-codec.ts'
import {
  actionOf,
  decodeRecord,
  decodeSource,
  encodeRecord,
} from '../../outbox/store/record-codec.ts'
import { noDestinationId } from '../../outbox/store/record-key.ts'
import { laneOf } from './lane-of.ts'

/** The lane of a record. An action that failed has no partition key: its message has the lane. */
export function laneOfRecord({ failed, partitionKey, source }: NewRecord): number {
  return laneOf(failed === undefined ? partitionKey : source.messageId)
}

/**
 * The value of a record in a chunk: as the outbox encodes it, or its dead letter when its action
 * failed.
 *
 * @param acceptedAtMs epoch milliseconds
 */
export function encodeForChunk(record: NewRecord, acceptedAtMs: number): Buffer {
  const value = encodeRecord(record, acceptedAtMs)
  if (record.failed === undefined) return value
  const { field, ...reason } = record.failed
  return encodeDeadLetter({
    destinationId: noDestinationId,
    attempts: 0,
    firstMs: acceptedAtMs,
    lastMs: acceptedAtMs,
    reason,
    field,
    record: value,
  })
}

/**
 * The record of a value, to be appended to the outbox of a node.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of a known layout
 */
export function recordOfChunk(value: Buffer, destination: Destination): NewRecord {
  const { acceptedAtMs: _, ...record } = decodeRecord(value)
  return { ...record, destination, source: decodeSource(value) }
}

/**
 * The action of a dead letter.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of a known layout
 */
export function actionOfDeadLetter(value: Buffer): Pick<NewRecord, 'ruleName' | 'actionIndex'> {
  return actionOf(decodeDeadLetter(value).record)
}
