import type { Destination, NewRecord, SourceMessage } from '../../outbox/outbox.ts'
import { decodeDeadLetter, encodeDeadLetter } from '../../outbox/store/dead-letter-codec.ts'
import {
  actionOf,
  callOf,
  dataOf,
  decodeFacts,
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
 * A record of a chunk, on its way into the outbox. The outbox takes its bytes as they are: its data
 * and its source are read only by those who ask for them.
 */
class ChunkRecord implements NewRecord {
  readonly destination: Destination
  readonly encoded: Buffer
  readonly ruleName: string
  readonly actionIndex: number
  readonly partitionKey: string
  readonly explicitHashKey: string | undefined

  constructor(destination: Destination, encoded: Buffer) {
    const facts = decodeFacts(encoded)
    this.destination = destination
    this.encoded = encoded
    this.ruleName = facts.ruleName
    this.actionIndex = facts.actionIndex
    this.partitionKey = facts.partitionKey
    this.explicitHashKey = facts.explicitHashKey
  }

  get data(): Buffer {
    return dataOf(this.encoded)
  }

  get call(): string | undefined {
    return callOf(this.encoded)
  }

  get source(): SourceMessage {
    return decodeSource(this.encoded)
  }
}

/**
 * The record of a value, to be appended to the outbox of a node.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of a known layout
 */
export const recordOfChunk = (value: Buffer, destination: Destination): NewRecord =>
  new ChunkRecord(destination, value)

/**
 * The action of a dead letter.
 *
 * @throws SluiceError DataFolderUnusable when the bytes are not of a known layout
 */
export function actionOfDeadLetter(value: Buffer): Pick<NewRecord, 'ruleName' | 'actionIndex'> {
  return actionOf(decodeDeadLetter(value).record)
}
