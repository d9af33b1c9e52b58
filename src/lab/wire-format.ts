import { Encoder, Tag } from 'cbor-x'
import { ServiceError } from './service-error.ts'
import { isObject } from './validation.ts'

/**
 * How a request and its answer are written: the operations are the same in each.
 *
 *     json  application/x-amz-json-1.1  blobs in base64, times in seconds with a fraction
 *     cbor  application/x-amz-cbor-1.1  bytes; times as tag 1 with milliseconds: AWS's own reading
 *                                       of the tag, by the Java clients and the producer library
 *     rpc   application/cbor            Smithy RPC v2: bytes; times as tag 1 with seconds
 */
export interface WireFormat {
  readonly contentType: string
  /** Of every answer, beside its type. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * Reads a request: bytes come as a Uint8Array or in base64, times as a Date or in seconds.
   * @throws ServiceError SerializationException
   */
  decode(body: Buffer): Record<string, unknown>
  encode(output: Readonly<Record<string, unknown>>): string | Buffer
  /** A member that is bytes. */
  blob(bytes: Buffer): unknown
  /** A member that is a time. */
  time(epochMs: number): unknown
}

const jsonFormat: WireFormat = Object.freeze({
  contentType: 'application/x-amz-json-1.1',
  headers: {},
  decode: (body: Buffer) => read('JSON', () => JSON.parse(body.toString()) as unknown),
  encode: (output: object) => JSON.stringify(output),
  blob: (bytes: Buffer) => bytes.toString('base64'),
  time: (epochMs: number) => epochMs / 1000,
})

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

const amzCborFormat: WireFormat = Object.freeze({
  contentType: 'application/x-amz-cbor-1.1',
  headers: {},
  decode: (body: Buffer) => mendTimes(read('CBOR', () => cbor.decode(body) as unknown)),
  encode: (output: object) => cbor.encode(output),
  blob: (bytes: Buffer) => bytes,
  // Above 2^32 cbor-x writes a number as a float, and a bigint as the integer that clients read.
  time: (epochMs: number) => new Tag(BigInt(epochMs), timeTag),
})

const rpcCborFormat: WireFormat = Object.freeze({
  ...amzCborFormat,
  contentType: 'application/cbor',
  headers: { 'smithy-protocol': 'rpc-v2-cbor' },
  decode: (body: Buffer) => read('CBOR', () => cbor.decode(body) as unknown),
  time: (epochMs: number) => new Date(epochMs),
})

export const wireFormats = Object.freeze({
  json: jsonFormat,
  amzCbor: amzCborFormat,
  rpcCbor: rpcCborFormat,
})

function read(language: string, decode: () => unknown): Record<string, unknown> {
  let value: unknown
  try {
    value = decode()
  } catch {
    throw new ServiceError('SerializationException', `The body is not valid ${language}.`)
  }
  if (isObject(value)) return value
  throw new ServiceError('SerializationException', `The body is not a ${language} object.`)
}

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
