// This entry of cbor-x has no native helper, which a bundle could not contain.
import { Encoder, Tag } from 'cbor-x/encode'
import { isObject } from './validation.ts'
import { readBody } from './wire-format.ts'
import type { WireFormat } from './wire-format.ts'

/**
 * The wire formats in CBOR. They are a module of their own, which the first CBOR request loads.
 */

// Records and bundles are extensions of cbor-x that other readers do not understand.
const cborOptions = {
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  // Milliseconds need more than 32 bits, and arithmetic needs numbers. The types lack this option.
  int64AsNumber: true,
}
const cbor = new Encoder(cborOptions)
/** CBOR's tag for an epoch time. */
const timeTag = 1

export const amzCborFormat: WireFormat = Object.freeze({
  contentType: 'application/x-amz-cbor-1.1',
  headers: {},
  decode: (body: Buffer) => mendTimes(readBody('CBOR', () => cbor.decode(body) as unknown)),
  encode: (output: object) => cbor.encode(output),
  blob: (bytes: Buffer) => bytes,
  // Above 2^32 cbor-x writes a number as a float, but a bigint as the integer that clients expect.
  time: (epochMs: number) => new Tag(BigInt(epochMs), timeTag),
})

export const rpcCborFormat: WireFormat = Object.freeze({
  ...amzCborFormat,
  contentType: 'application/cbor',
  headers: { 'smithy-protocol': 'rpc-v2-cbor' },
  decode: (body: Buffer) => readBody('CBOR', () => cbor.decode(body) as unknown),
  time: (epochMs: number) => new Date(epochMs),
})

/** Corrects times: cbor-x reads the milliseconds behind the tag as seconds. */
function mendTimes(input: Record<string, unknown>): Record<string, unknown> {
  const mended: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(input)) {
    // Times are members of the request, or one level deeper (ShardFilter, StartingPosition).
    mended[name] = isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mendTime(member)]))
      : mendTime(value)
  }
  return mended
}

const mendTime = (value: unknown) =>
  value instanceof Date ? new Date(value.getTime() / 1000) : value
