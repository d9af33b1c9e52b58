import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { ProtobufRequest } from '../sql/externals/external-request.ts'
import type { Value } from '../sql/values/values.ts'
import { createKeptAnswers } from './kept-answers.ts'
import type { FindMessageType } from './protobuf-type.ts'

/** The guide's limits: of a FileDescriptorSet, and of a message before and after. */
export const descriptorBytesMax = 32 * 1024
const messageBytesMax = 128 * 1024

/** Descriptors that are kept, and for how long: one may be replaced. */
const descriptors = { answersMax: 200, keptMs: 5 * 60_000 }

/**
 * The bytes of a descriptor, or more of them than `descriptorBytesMax` where it is too large.
 * Rejects where there is none.
 */
export type ReadDescriptor = (bucketName: string, objectKey: string) => Promise<Buffer>

/** `decode(x, 'proto', ...)`: reads a message by the descriptor that a bucket holds. */
export function createProtobufDecoder(
  readDescriptor: ReadDescriptor,
  { clock }: { readonly clock: Clock },
) {
  const kept = createKeptAnswers<FindMessageType>({ clock }, descriptors)

  async function load({ bucketName, objectKey }: ProtobufRequest): Promise<FindMessageType> {
    const descriptor = await readDescriptor(bucketName, objectKey)
    if (descriptor.length > descriptorBytesMax) {
      throw new Error(`the descriptor has more than ${descriptorBytesMax} bytes`)
    }
    // Loaded with the first descriptor: most rules decode no protobuf.
    const { compileDescriptor } = await import('./protobuf-type.ts')
    return compileDescriptor(descriptor)
  }

  return async (request: ProtobufRequest): Promise<Value> => {
    const bytes = bytesOf(request.base64)
    const key = JSON.stringify([request.bucketName, request.objectKey])
    const findType = await kept.get(key, () => load(request))
    const decode = findType(request)
    try {
      return decode(bytes, messageBytesMax)
    } catch (thrown) {
      throw new Error(`the message is no ${request.messageType}: ${messageOf(thrown)}`, {
        cause: thrown,
      })
    }
  }
}

const base64Text = /^[A-Za-z0-9+/]*={0,2}$/

function bytesOf(base64: string): Buffer {
  if (!base64Text.test(base64)) throw new Error('the value is no base64 text')
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length <= messageBytesMax) return bytes
  throw new Error(`the message has more than ${messageBytesMax} bytes`)
}
