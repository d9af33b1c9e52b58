import type { NewRecord } from './new-record.ts'
import { dataOf, decodeFacts, payloadBytesOf } from './record-codec.ts'
import type { DeliveredPart } from './record-codec.ts'

/** A record that waits for delivery. Sequences grow in the order of appends, with gaps. */
export interface QueuedRecord extends DeliveredPart {
  readonly sequence: number
  /** Bytes of data and partition key, as Kinesis counts them. */
  readonly bytes: number
  /** As it stands on disk; see `originOf`. */
  readonly stored: Buffer
}

/** How much of a queue is read. */
export interface ReadLimits {
  readonly countMax: number
  /** The first record is given even if it is larger. */
  readonly bytesMax: number
}

type Facts = Omit<QueuedRecord, 'data'>

/**
 * Thousands of them are in memory at a time, so that each is no more than it needs to be: its data is
 * cut out of what is stored when it is asked for, and a buffer of its own for no longer than that.
 */
class StoredRecord implements QueuedRecord {
  readonly sequence: number
  readonly bytes: number
  readonly stored: Buffer
  readonly ruleName: string
  readonly actionIndex: number
  readonly acceptedAtMs: number
  readonly partitionKey: string
  declare readonly explicitHashKey?: string

  constructor(facts: Facts) {
    this.sequence = facts.sequence
    this.bytes = facts.bytes
    this.stored = facts.stored
    this.ruleName = facts.ruleName
    this.actionIndex = facts.actionIndex
    this.acceptedAtMs = facts.acceptedAtMs
    this.partitionKey = facts.partitionKey
    if (facts.explicitHashKey !== undefined) this.explicitHashKey = facts.explicitHashKey
  }

  get data(): Buffer {
    return dataOf(this.stored)
  }
}

/** A record that was just given its place, and its bytes as they are to stand on disk. */
export function newQueuedRecord(
  { ruleName, actionIndex, partitionKey, explicitHashKey, data }: NewRecord,
  place: Pick<QueuedRecord, 'sequence' | 'acceptedAtMs' | 'stored'>,
): QueuedRecord {
  const { sequence, acceptedAtMs, stored } = place
  const bytes = data.length + Buffer.byteLength(partitionKey)
  const known = { sequence, bytes, stored, ruleName, actionIndex, acceptedAtMs, partitionKey }
  return new StoredRecord(explicitHashKey === undefined ? known : { ...known, explicitHashKey })
}

/** @throws SluiceError DataFolderUnusable when the bytes are not those of a record */
export function queuedRecord(sequence: number, stored: Buffer): QueuedRecord {
  return new StoredRecord({
    sequence,
    bytes: payloadBytesOf(stored),
    stored,
    ...decodeFacts(stored),
  })
}
