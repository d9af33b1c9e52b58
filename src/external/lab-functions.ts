import path from 'node:path'
import type { AwsAccess } from '../aws/role-calls.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { unreachable } from '../base/unreachable.ts'
import type {
  CallExternal,
  ExternalFunctionName,
  ExternalRequest,
  LambdaRequest,
} from '../sql/externals/external-request.ts'
import type { Value } from '../sql/values/values.ts'
import { readPlainFile } from '../storage/file-reads.ts'
import { createAwsAnswers } from './aws-functions.ts'
import { createBoundedCall } from './bounded-call.ts'
import { valueOfFunctionAnswer } from './function-answer.ts'
import { createProtobufDecoder, descriptorBytesMax } from './protobuf-decoder.ts'
import type { ReadDescriptor } from './protobuf-decoder.ts'
import { createStubFiles } from './stub-files.ts'
import { createStubs } from './stubs.ts'

/**
 * Invokes a function of the folder, and waits for its response.
 *
 * @param functionArn the name or the ARN of the function
 * @param payload JSON text
 * @param signal aborted when nobody waits any more: an invocation that waits is not begun then
 * @returns `absent` when the folder does not have the function, with the way to put it there
 */
export type InvokeFunction = (
  functionArn: string,
  payload: string,
  signal: AbortSignal,
) => Promise<
  | { readonly kind: 'answered'; readonly payload: string; readonly hasFailed: boolean }
  | { readonly kind: 'absent'; readonly advice: string }
>

interface LabFunctionsDependencies {
  readonly clock: Clock
  readonly invokeFunction: InvokeFunction
  /** How an emulator is reached; undefined for functions that no emulator answers. */
  readonly emulatorFor: (name: ExternalFunctionName) => (() => Promise<AwsAccess>) | undefined
}

interface LabFunctionsOptions {
  /** The folder that holds descriptors as `<bucket>/<key>`; without it there are none. */
  readonly protoDir: string | undefined
  /** The folder of stubs.ts. */
  readonly stubsDir: string
}

/**
 * The external functions in the lab, which never leaves the machine: functions of the folder,
 * emulators, and files.
 */
export function createLabFunctions(
  { clock, invokeFunction, emulatorFor }: LabFunctionsDependencies,
  { protoDir, stubsDir }: LabFunctionsOptions,
): CallExternal {
  const decode = createProtobufDecoder(descriptorsIn(protoDir), { clock })
  const stubs = createStubs(createStubFiles(stubsDir))
  const emulated = createAwsAnswers(
    (name) => emulatorFor(name)?.() ?? Promise.reject(new Error(`no emulator answers ${name}`)),
    { clock },
  )

  async function lambda(request: LambdaRequest, signal: AbortSignal): Promise<Value> {
    const answer = await invokeFunction(request.functionArn, request.inputJson, signal)
    if (answer.kind === 'answered') {
      return valueOfFunctionAnswer({ ...answer, payload: Buffer.from(answer.payload) })
    }
    if (emulatorFor('aws_lambda')) return emulated(request, signal)
    throw new Error(`nothing answers in the lab yet: ${answer.advice}`)
  }

  async function stub(request: Exclude<ExternalRequest, LambdaRequest>): Promise<Value> {
    switch (request.function) {
      case 'get_dynamodb':
        return stubs.item(request)
      case 'get_secret':
        return stubs.secret(request)
      case 'get_thing_shadow':
        return stubs.shadow(request)
      case 'get_registry_data':
        return stubs.registryAnswer(request)
      case 'decode':
        return decode(request)
      default:
        return unreachable(request)
    }
  }

  return createBoundedCall(
    async (request, signal) => {
      if (request.function === 'aws_lambda') return lambda(request, signal)
      const isEmulated = emulatorFor(request.function) !== undefined
      return isEmulated ? emulated(request, signal) : stub(request)
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
