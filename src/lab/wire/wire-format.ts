import { ServiceError } from './service-error.ts'
import { isObject } from './validation.ts'

/**
 * The format of a request and its response. All operations work with every format.
 *
 *     json  application/x-amz-json-1.1  blobs in base64, times in seconds with a fraction
 *     cbor  application/x-amz-cbor-1.1  bytes; times as tag 1 with milliseconds: AWS's own reading
 *                                       of the tag, by the Java clients and the producer library
 *     rpc   application/cbor            Smithy RPC v2: bytes; times as tag 1 with seconds
 */
export interface WireFormat {
  readonly contentType: string
  /** Further headers of every response. */
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

/** The format of most clients. The others are in cbor-formats.ts. */
export const jsonFormat: WireFormat = Object.freeze({
  contentType: 'application/x-amz-json-1.1',
  headers: {},
  decode: (body: Buffer) => readBody('JSON', () => JSON.parse(body.toString()) as unknown),
  encode: (output: object) => JSON.stringify(output),
  blob: (bytes: Buffer) => bytes.toString('base64'),
  time: (epochMs: number) => epochMs / 1000,
})

/**
 * A decoded body, which must be an object.
 * @throws ServiceError SerializationException
 */
export function readBody(language: string, decode: () => unknown): Record<string, unknown> {
  let value: unknown
  try {
    value = decode()
  } catch {
    throw new ServiceError('SerializationException', `The body is not valid ${language}.`)
  }
  if (isObject(value)) return value
  throw new ServiceError('SerializationException', `The body is not a ${language} object.`)
}
