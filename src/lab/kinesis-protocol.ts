import { randomUUID } from 'node:crypto'
import type { Logger } from '../telemetry.ts'
import type { CheckCaller } from './caller-check.ts'
import type { CallSubject } from './faults.ts'
import { openIterator } from './iterators.ts'
import type { ShardIterator } from './iterators.ts'
import { kinesisOperations } from './kinesis-operations/kinesis-operations.ts'
import type { OperationContext } from './kinesis-operations/operation.ts'
import { accessKeyIdOf, answer } from './lab-http.ts'
import type { LabAnswer, LabRequest } from './lab-http.ts'
import { carryOut } from './service-call.ts'
import type { CallObserver } from './service-call.ts'
import { ServiceError } from './service-error.ts'
import { shardIdOf } from './streams.ts'
import { isObject } from './validation.ts'

/**
 * The JSON protocol of Kinesis: `POST /`, the operation in `x-amz-target`, a JSON body each way.
 * An error is `{"__type": code, "message": text}`.
 */
const targetPrefix = 'Kinesis_20131202.'
const jsonType = 'application/x-amz-json-1.1'

export interface KinesisDeps {
  readonly context: OperationContext
  readonly observer: CallObserver
  readonly logger: Logger
  /** Absent: anybody may call, signed or not. */
  readonly checkCaller?: CheckCaller | undefined
}

/** True when the request is meant for this protocol. */
export const isKinesisRequest = (request: LabRequest) =>
  request.headers['x-amz-target'] !== undefined

/** Carries a request out. Never rejects. */
export async function answerKinesis(deps: KinesisDeps, request: LabRequest): Promise<LabAnswer> {
  const requestId = randomUUID()
  const target = String(request.headers['x-amz-target'])
  const name = target.startsWith(targetPrefix) ? target.slice(targetPrefix.length) : target
  let input: Record<string, unknown> = {}
  let problem: ServiceError | undefined
  try {
    input = readJson(request)
  } catch (error) {
    problem = asServiceError(error, deps.logger)
  }
  return carryOut({
    context: deps.context,
    observer: deps.observer,
    request,
    requestId,
    call: describeCall(deps.context, name, input, request),
    refusal: await deps.checkCaller?.('kinesis', request),
    run(call) {
      if (problem) throw problem
      const output = operationOf(target, name).run(deps.context, input, call)
      const failedRecordCount = output?.['FailedRecordCount']
      return {
        answer: answer(200, jsonType, output ? JSON.stringify(output) : '', requestId),
        ...(typeof failedRecordCount === 'number' ? { failedRecordCount } : {}),
      }
    },
    onError(thrown) {
      const error = asServiceError(thrown, deps.logger)
      const body = JSON.stringify({ __type: error.code, message: error.message })
      return { error, answer: answer(error.status, jsonType, body, requestId) }
    },
  })
}

function operationOf(target: string, name: string) {
  const found = target.startsWith(targetPrefix) ? kinesisOperations.get(name) : undefined
  if (found) return found
  throw new ServiceError(
    'UnknownOperationException',
    `The local Kinesis does not have the operation ${target}.`,
  )
}

function readJson(request: LabRequest): Record<string, unknown> {
  const type = request.headers['content-type'] ?? jsonType
  if (type.includes('cbor')) {
    throw new ServiceError(
      'SerializationException',
      'The local Kinesis reads JSON, not CBOR: set AWS_CBOR_DISABLE=true for this client.',
    )
  }
  if (request.body.length === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(request.body.toString())
  } catch {
    throw new ServiceError('SerializationException', 'The body is not valid JSON.')
  }
  if (isObject(value)) return value
  throw new ServiceError('SerializationException', 'The body is not a JSON object.')
}

/** What the faults and the list of calls see; read leniently, before the input is checked. */
function describeCall(
  context: OperationContext,
  operation: string,
  input: Record<string, unknown>,
  request: LabRequest,
): CallSubject {
  const iterator = iteratorIn(context, input)
  const streamName = streamNameIn(input) ?? iterator?.streamName
  const shardId = iterator ? shardIdOf(iterator.shardNumber) : input['ShardId']
  const accessKeyId = accessKeyIdOf(request.headers)
  const entries = Array.isArray(input['Records']) ? (input['Records'] as unknown[]) : [input]
  return {
    operation,
    partitionKeys: entries.flatMap((entry) => {
      const key = isObject(entry) ? entry['PartitionKey'] : undefined
      return typeof key === 'string' ? [key] : []
    }),
    ...(streamName === undefined ? {} : { streamName }),
    ...(typeof shardId === 'string' ? { shardId } : {}),
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
  }
}

function streamNameIn(input: Record<string, unknown>): string | undefined {
  const { StreamName: name, StreamARN: arn } = input
  if (typeof name === 'string') return name
  return typeof arn === 'string' ? arn.split(':stream/')[1] : undefined
}

function iteratorIn(
  context: OperationContext,
  { ShardIterator: sealed }: Record<string, unknown>,
): ShardIterator | undefined {
  if (typeof sealed !== 'string') return undefined
  try {
    return openIterator(context.tokens, sealed)
  } catch {
    return undefined
  }
}

function asServiceError(thrown: unknown, logger: Logger): ServiceError {
  if (thrown instanceof ServiceError) return thrown
  logger.error({ err: thrown }, 'the local Kinesis failed')
  return new ServiceError('InternalFailure', 'Internal service failure.')
}
