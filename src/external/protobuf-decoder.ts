import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { ProtobufRequest } from '../sql/externals/external-request.ts'
import type { Value } from '../sql/values/values.ts'
import { createAnswerCache } from './answer-cache.ts'
import type { FindMessageType } from './protobuf-type.ts'

/**
 * The AWS IoT guide's limits: of a FileDescriptorSet, and of a message before and after decoding.
 */
export const descriptorBytesMax = 32 * 1024
const messageBytesMax = 128 * 1024

/** Cached descriptors. They expire, because a descriptor may be replaced. */
const descriptors = { answersMax: 200, validMs: 5 * 60_000 }

/**
 * Reads the bytes of a descriptor. A descriptor that is too large may be cut off anywhere beyond
 * `descriptorBytesMax`. Rejects when there is no descriptor.
 */
export type ReadDescriptor = (bucketName: string, objectKey: string) => Promise<Buffer>

/** `decode(x, 'proto', ...)`: decodes a message with a descriptor from a bucket. */
export function createProtobufDecoder(
  readDescriptor: ReadDescriptor,
  { clock }: { readonly clock: Clock },
) {
  const answers = createAnswerCache<FindMessageType>({ clock }, descriptors)

  async function load({ bucketName, objectKey }: ProtobufRequest): Promise<FindMessageType> {
    const descriptor = await readDescriptor(bucketName, objectKey)
    if (descriptor.length > descriptorBytesMax) {
      throw new Error(`the descriptor has more than ${descriptorBytesMax} bytes`)
    }
    // The library is loaded with the first descriptor, because most rules decode no protobuf.
    const { compileProtobufType } = await import('./protobuf-type.ts')
    return compileProtobufType(descriptor)
  }

  return async (request: ProtobufRequest): Promise<Value> => {
    const bytes = bytesOf(request.base64)
    const key = JSON.stringify([request.bucketName, request.objectKey])
    const findType = await answers.get(key, () => load(request))
    const decode = findType(request)
    try {
      return decode(bytes, messageBytesMax)
    } catch (thrown) {
      throw new Error(`the message is not a ${request.messageType}: ${messageOf(thrown)}`, {
        cause: thrown,
      })
    }
  }
}

const base64Text = /^[A-Za-z0-9+/]*={0,2}$/

function bytesOf(base64: string): Buffer {
  if (!base64Text.test(base64)) throw new Error('the value is not base64 text')
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length <= messageBytesMax) return bytes
  throw new Error(`the message has more than ${messageBytesMax} bytes`)
}
