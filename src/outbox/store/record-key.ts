/**
 * The key of a record in its table, 12 bytes, so that the records of one destination stand together
 * and in order. Numbers are big-endian.
 *
 *     0  u32  destination id; 0 for the messages that records share
 *     4  u64  sequence (at most 2^53 - 1)
 */
export const recordKeyBytes = 12
/** Of what belongs to no destination: dead letters of failed actions, and shared messages. */
export const noDestinationId = 0
const wordValues = 0x1_0000_0000

/** The key of a record in its table. */
export type RecordKey = [destinationId: number, sequence: number]

/** Writes the key of a record at `start` of `target`, and returns where the key ends. */
export function writeKey(
  [destinationId, sequence]: Readonly<RecordKey>,
  target: Buffer,
  start: number,
): number {
  target.writeUInt32BE(destinationId, start)
  return writeSequence(sequence, target, start + 4)
}

/** Reads the key that begins at `start`. */
export function readKey(source: Buffer, start: number): RecordKey {
  return [source.readUInt32BE(start), readSequence(source, start + 4)]
}

/** Without a BigInt, which would have to be made for each. */
export function writeSequence(sequence: number, target: Buffer, start: number): number {
  target.writeUInt32BE(Math.floor(sequence / wordValues), start)
  return target.writeUInt32BE(sequence % wordValues, start + 4)
}

export function readSequence(source: Buffer, start: number): number {
  return source.readUInt32BE(start) * wordValues + source.readUInt32BE(start + 4)
}
