import type { NewRecord } from './new-record.ts'
import { decodeRecord } from './record-codec.ts'
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

/** A record that was just given its place, and its bytes as they are to stand on disk. */
export function newQueuedRecord(
  { ruleName, actionIndex, partitionKey, explicitHashKey, data }: NewRecord,
  place: Pick<QueuedRecord, 'sequence' | 'acceptedAtMs' | 'stored'>,
): QueuedRecord {
  const { sequence, acceptedAtMs, stored } = place
  const bytes = data.length + Buffer.byteLength(partitionKey)
  const known = { sequence, bytes, stored, ruleName, actionIndex, acceptedAtMs, partitionKey, data }
  return explicitHashKey === undefined ? known : { ...known, explicitHashKey }
}

/** @throws SluiceError DataFolderUnusable when the bytes are not those of a record */
export function queuedRecord(sequence: number, stored: Buffer): QueuedRecord {
  const part = decodeRecord(stored)
  const bytes = part.data.length + Buffer.byteLength(part.partitionKey)
  return { sequence, bytes, stored, ...part }
}
