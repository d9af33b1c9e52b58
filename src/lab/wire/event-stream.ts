import { crc32 } from 'node:zlib'

/**
 * Messages of `application/vnd.amazon.eventstream`, the response of SubscribeToShard (Smithy,
 * "Amazon Event Stream Specification"). Numbers are big-endian:
 *
 *     length of all (4) | length of the headers (4) | CRC-32 of these 8 bytes (4)
 *     headers | payload | CRC-32 of all before (4)
 *
 * A header is its name's length (1), its name, its type (1, 7 for a text), the value's length (2)
 * and the value.
 */
export const eventStreamType = 'application/vnd.amazon.eventstream'

export interface EventMessage {
  /** An `exception` carries the reason for the end of the stream. */
  readonly kind: 'event' | 'exception'
  /** `initial-response`, `SubscribeToShardEvent`, or the name of an exception. */
  readonly name: string
  readonly contentType: string
  readonly payload: string | Buffer
}

const preludeBytes = 12
const crcBytes = 4
const textType = 7

export function encodeEvent({ kind, name, contentType, payload }: EventMessage): Buffer {
  const headers = Buffer.concat([
    encodeHeader(kind === 'event' ? ':event-type' : ':exception-type', name),
    encodeHeader(':content-type', contentType),
    encodeHeader(':message-type', kind),
  ])
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload
  const message = Buffer.allocUnsafe(preludeBytes + headers.length + body.length + crcBytes)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(headers.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  message.set(headers, preludeBytes)
  message.set(body, preludeBytes + headers.length)
  const end = message.length - crcBytes
  message.writeUInt32BE(crc32(message.subarray(0, end)), end)
  return message
}

function encodeHeader(name: string, value: string): Buffer {
  const nameBytes = Buffer.from(name)
  const valueBytes = Buffer.from(value)
  const lengths = Buffer.alloc(3)
  lengths.writeUInt8(textType, 0)
  lengths.writeUInt16BE(valueBytes.length, 1)
  return Buffer.concat([Buffer.of(nameBytes.length), nameBytes, lengths, valueBytes])
}
