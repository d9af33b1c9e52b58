/**
 * The bytes of a dead letter. All numbers are big-endian.
 *
 * Key, 8 bytes: the id, u64 (at most 2^53 - 1). It is the sequence of the record, so ids grow in
 * the order of acceptance and are never given twice.
 *
 * Value:
 *
 *     0  u8   layout: 1
 *     1  u8   1 for an action that failed, else 0
 *     2  u32  destination id; 0 for an action that failed
 *     6  u32  attempts
 *    10  u48  first failure, epoch milliseconds
 *    16  u48  last failure, epoch milliseconds
 *    22  u16  length of the code
 *    24  u16  length of the message
 *    26       code, UTF-8; message, UTF-8; [length of the field, u16; field, UTF-8]; the value of
 *             the record (record-codec.ts)
 *
 * The part in brackets is there for an action that failed: it made no record, so that the value has
 * neither partition key nor data of its own.
 */
import { SluiceError } from '../../base/errors.ts'

export const deadLetterKeyBytes = 8
const headerBytes = 26
const fieldLengthBytes = 2
const layout = 1
const attemptsMax = 0xffff_ffff
/** The message of a service is a sentence; that of a proxy may be a whole page. */
const reasonBytesMax = 2_000

/** Why a record was given up. */
export interface GivenUpReason {
  /** The error code of the service, or one of ours. */
  readonly code: string
  readonly message: string
}

interface DeadLetterFields {
  readonly destinationId: number
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  readonly reason: GivenUpReason
  /** The field of the rule that failed. Absent for a record that was given up. */
  readonly field?: string | undefined
  /** The record as it stood in the queue. */
  readonly record: Buffer
}

export function encodeDeadLetter(deadLetter: DeadLetterFields): Buffer {
  const code = Buffer.from(deadLetter.reason.code).subarray(0, reasonBytesMax)
  const message = Buffer.from(deadLetter.reason.message).subarray(0, reasonBytesMax)
  const field = deadLetter.field === undefined ? noField : encodeField(deadLetter.field)
  const header = Buffer.alloc(headerBytes)
  header[0] = layout
  header[1] = deadLetter.field === undefined ? 0 : 1
  header.writeUInt32BE(deadLetter.destinationId, 2)
  header.writeUInt32BE(Math.min(deadLetter.attempts, attemptsMax), 6)
  header.writeUIntBE(deadLetter.firstMs, 10, 6)
  header.writeUIntBE(deadLetter.lastMs, 16, 6)
  header.writeUInt16BE(code.length, 22)
  header.writeUInt16BE(message.length, 24)
  return Buffer.concat([header, code, message, field, deadLetter.record])
}

const noField = Buffer.alloc(0)

function encodeField(text: string): Buffer {
  const field = Buffer.from(text).subarray(0, reasonBytesMax)
  const length = Buffer.alloc(fieldLengthBytes)
  length.writeUInt16BE(field.length)
  return Buffer.concat([length, field])
}

/** @throws SluiceError DataFolderUnusable when the bytes are not of this layout */
export function decodeDeadLetter(value: Buffer): DeadLetterFields {
  const isOfAction = value[1] === 1
  if (value[0] !== layout || !(isOfAction || value[1] === 0) || value.length < headerBytes) {
    throw new SluiceError(
      'DataFolderUnusable',
      'The outbox holds a dead letter that it cannot read',
    )
  }
  const codeEnd = headerBytes + value.readUInt16BE(22)
  const messageEnd = codeEnd + value.readUInt16BE(24)
  const fieldStart = messageEnd + (isOfAction ? fieldLengthBytes : 0)
  const fieldEnd = fieldStart + (isOfAction ? value.readUInt16BE(messageEnd) : 0)
  return {
    destinationId: value.readUInt32BE(2),
    attempts: value.readUInt32BE(6),
    firstMs: value.readUIntBE(10, 6),
    lastMs: value.readUIntBE(16, 6),
    reason: {
      code: value.toString('utf8', headerBytes, codeEnd),
      message: value.toString('utf8', codeEnd, messageEnd),
    },
    field: isOfAction ? value.toString('utf8', fieldStart, fieldEnd) : undefined,
    record: value.subarray(fieldEnd),
  }
}

/** The destination of a dead letter, without reading the rest. */
export function destinationIdOf(value: Buffer): number {
  return value.readUInt32BE(2)
}
