import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import { readPlainFile } from '../storage/file-reads.ts'
import { createBoundedCall } from './bounded-call.ts'
import { createProtobufDecoder, descriptorBytesMax } from './protobuf-decoder.ts'
import type { ReadDescriptor } from './protobuf-decoder.ts'

interface LabFunctionsOptions {
  /** The folder that holds descriptors as `<bucket>/<key>`; without it there are none. */
  readonly protoDir: string | undefined
}

/** The external functions in the lab, which never leaves the machine. */
export function createLabFunctions(
  { clock }: { readonly clock: Clock },
  { protoDir }: LabFunctionsOptions,
): CallExternal {
  const decode = createProtobufDecoder(descriptorsIn(protoDir), { clock })

  return createBoundedCall(
    async (request) => {
      if (request.function === 'decode') return decode(request)
      throw new Error('not available in the lab, which never leaves the machine')
    },
    { clock },
  )
}

function descriptorsIn(protoDir: string | undefined): ReadDescriptor {
  return async (bucketName, objectKey) => {
    if (protoDir === undefined) {
      throw new Error('SLUICE_PROTO_DIR, the folder of the descriptors, is not set')
    }
    const file = path.resolve(protoDir, bucketName, objectKey)
    if (!file.startsWith(path.resolve(protoDir) + path.sep)) {
      throw new Error(`${bucketName}/${objectKey} is not in SLUICE_PROTO_DIR`)
    }
    const read = await readPlainFile(file, descriptorBytesMax).catch((thrown: unknown) => {
      throw new Error(`${file} ${messageOf(thrown)}`, { cause: thrown })
    })
    if (read === undefined) throw new Error(`${file} does not exist`)
    return read.bytes
  }
}
