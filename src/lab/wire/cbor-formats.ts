// The entry without the native helper, which a bundle cannot have.
import { Encoder, Tag } from 'cbor-x/encode'
import { isObject } from './validation.ts'
import { readBody } from './wire-format.ts'
import type { WireFormat } from './wire-format.ts'

/**
 * The wire formats of CBOR, apart from that of JSON: the first request that is in CBOR loads them.
 */

// Records and bundles are additions of cbor-x to CBOR that no other reader knows.
const cborOptions = {
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  // Milliseconds need more than 32 bits, and a bigint cannot be reckoned with. Not in the types.
  int64AsNumber: true,
}
const cbor = new Encoder(cborOptions)
/** CBOR's tag of an epoch time. */
const timeTag = 1

export const amzCborFormat: WireFormat = Object.freeze({
  contentType: 'application/x-amz-cbor-1.1',
  headers: {},
  decode: (body: Buffer) => mendTimes(readBody('CBOR', () => cbor.decode(body) as unknown)),
  encode: (output: object) => cbor.encode(output),
  blob: (bytes: Buffer) => bytes,
  // Above 2^32 cbor-x writes a number as a float, and a bigint as the integer that clients read.
  time: (epochMs: number) => new Tag(BigInt(epochMs), timeTag),
})

export const rpcCborFormat: WireFormat = Object.freeze({
  ...amzCborFormat,
  contentType: 'application/cbor',
  headers: { 'smithy-protocol': 'rpc-v2-cbor' },
  decode: (body: Buffer) => readBody('CBOR', () => cbor.decode(body) as unknown),
  time: (epochMs: number) => new Date(epochMs),
})

/** cbor-x took the milliseconds behind the tag for seconds. */
function mendTimes(input: Record<string, unknown>): Record<string, unknown> {
  const mended: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(input)) {
    // Times stand in the request itself or one level deeper: ShardFilter, StartingPosition.
    mended[name] = isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mendTime(member)]))
      : mendTime(value)
  }
  return mended
}

const mendTime = (value: unknown) =>
  value instanceof Date ? new Date(value.getTime() / 1000) : value
