import { randomUUID } from 'node:crypto'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { CheckCaller } from '../service/caller-check.ts'
import { eventStreamType } from '../wire/event-stream.ts'
import type { CallContexts } from './call-contexts.ts'
import type { Denial } from '../faults/fault-message.ts'
import type { CallSubject } from '../faults/faults.ts'
import type { LabDisk } from '../streams/lab-disk.ts'
import {
  kinesisOperations,
  missingKinesisOperations,
} from '../kinesis-operations/kinesis-operations.ts'
import type { OpenEvents } from '../kinesis-operations/operation.ts'
import { streamArnOf } from '../streams/namespace.ts'
import type { Namespace } from '../streams/namespace.ts'
import { accessKeyIdOf, answer } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest } from '../wire/lab-http.ts'
import { callerArnOf } from '../service/role-sessions.ts'
import type { RoleSessions } from '../service/role-sessions.ts'
import { carryOutServiceCall } from '../service/service-call.ts'
import type { CallObserver } from '../service/service-call.ts'
import { ServiceError } from '../wire/service-error.ts'
import { shardIdOf } from '../streams/stream.ts'
import { isObject } from '../wire/validation.ts'
import { jsonFormat } from '../wire/wire-format.ts'
import type { WireFormat } from '../wire/wire-format.ts'

/**
 * The protocols of Kinesis: `POST /` with the operation in `x-amz-target` and a body in JSON or in
 * CBOR, or Smithy RPC v2 with the operation in the path. The response has the format of the
 * request. An error is `{"__type": code, "message": text}`.
 */
const servicePrefix = 'Kinesis_20131202'
const rpcForm = /^\/service\/[\w.]+\/operation\/(\w+)$/

interface KinesisDependencies {
  readonly contexts: CallContexts
  readonly observer: CallObserver
  readonly logger: Logger
  readonly sessions: RoleSessions
  /** Undefined allows every caller, also unsigned requests. */
  readonly checkCaller?: CheckCaller | undefined
  /** A change is answered when it is on this disk. */
  readonly disk?: Pick<LabDisk, 'refuseWhileFailing' | 'durable'> | undefined
}

/** Reads may go on while the disk takes nothing. */
const isChange = (operation: string) => !/^(?:Get|List|Describe|Subscribe)/.test(operation)

/** Whether the request uses one of these protocols. */
export const isKinesisRequest = (request: LabRequest) =>
  request.headers['x-amz-target'] !== undefined || isRpc(request)

const isRpc = ({ headers, target }: LabRequest) =>
  headers['smithy-protocol'] === 'rpc-v2-cbor' && rpcForm.test(target)

/** Executes a request. Never rejects. */
export async function answerKinesis(
  dependencies: KinesisDependencies,
  request: LabRequest,
): Promise<LabAnswer> {
  const requestId = randomUUID()
  const target = targetOf(request)
  const wire = await wireOf(request)
  const name = target.startsWith(`${servicePrefix}.`)
    ? target.slice(servicePrefix.length + 1)
    : target
  let input: Record<string, unknown> = {}
  let problem: ServiceError | undefined
  try {
    if (request.body.length > 0) input = wire.decode(request.body)
  } catch (thrown) {
    problem = asServiceError(thrown, dependencies.logger)
  }
  const context = dependencies.contexts.contextOf(request, input)
  const call = describeCall(dependencies.contexts, name, input, request)
  return carryOutServiceCall({
    context,
    observer: dependencies.observer,
    request,
    requestId,
    call,
    refusal: await dependencies.checkCaller?.('kinesis', request),
    denial: () => denialOf(dependencies, context, call),
    async run() {
      if (problem) throw problem
      const operation = operationOf(target, name)
      const disk = isChange(name) ? dependencies.disk : undefined
      disk?.refuseWhileFailing()
      const outcome = operation.run(context, input, { call, wire })
      await disk?.durable()
      if (typeof outcome === 'function') return { answer: eventAnswer(outcome, wire, requestId) }
      const failedRecordCount = outcome?.['FailedRecordCount']
      const body = outcome ? wire.encode(outcome) : ''
      return {
        answer: inFormat(wire, answer(200, wire.contentType, body, requestId)),
        ...(typeof failedRecordCount === 'number' ? { failedRecordCount } : {}),
      }
    },
    onError(thrown) {
      const error = asServiceError(thrown, dependencies.logger)
      const body = wire.encode({ __type: error.code, message: error.message })
      const given = answer(error.status, wire.contentType, body, requestId)
      return { error, answer: inFormat(wire, given) }
    },
  })
}

/** The target, such as `Kinesis_20131202.PutRecords`, wherever the protocol carries it. */
function targetOf(request: LabRequest): string {
  const operationName = isRpc(request) ? rpcForm.exec(request.target)?.[1] : undefined
  return operationName === undefined
    ? String(request.headers['x-amz-target'])
    : `${servicePrefix}.${operationName}`
}

async function wireOf(request: LabRequest): Promise<WireFormat> {
  const { 'content-type': contentType } = request.headers
  if (!isRpc(request) && !contentType?.includes('cbor')) return jsonFormat
  // The CBOR library is slow to load, and most clients use JSON.
  const { amzCborFormat, rpcCborFormat } = await import('../wire/cbor-formats.ts')
  return isRpc(request) ? rpcCborFormat : amzCborFormat
}

const inFormat = (
  { headers }: WireFormat,
  given: Extract<LabAnswer, { kind: 'answer' }>,
): LabAnswer => ({ ...given, headers: { ...given.headers, ...headers } })

const eventAnswer = (open: OpenEvents, wire: WireFormat, requestId: string): LabAnswer => ({
  kind: 'stream',
  status: 200,
  headers: { 'content-type': eventStreamType, 'x-amzn-requestid': requestId, ...wire.headers },
  open,
})

function operationOf(target: string, name: string) {
  const isOurs = target.startsWith(`${servicePrefix}.`)
  const found = isOurs ? kinesisOperations.get(name) : undefined
  if (found) return found
  const reason = isOurs ? missingKinesisOperations.get(name) : undefined
  throw new ServiceError(
    'UnknownOperationException',
    `The local Kinesis does not have the operation ${target}${reason ? `: ${reason}` : ''}.`,
  )
}

/** What the call may not do when a fault rule denies it. */
function denialOf(
  { contexts, sessions }: KinesisDependencies,
  namespace: Namespace,
  { operation, streamName, accessKeyId }: CallSubject,
): Denial {
  return {
    callerArn: callerArnOf(sessions, accessKeyId, contexts.home.accountId),
    action: `kinesis:${operation}`,
    resourceArn: streamArnOf(namespace, streamName ?? '').replace(/stream\/$/, '*'),
  }
}

/** Describes a call for faults and the list of calls; the input is not checked yet. */
function describeCall(
  contexts: CallContexts,
  operation: string,
  input: Record<string, unknown>,
  request: LabRequest,
): CallSubject {
  const iterator = contexts.iteratorIn(input)
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
    streamName,
    shardId: typeof shardId === 'string' ? shardId : undefined,
    accessKeyId,
  }
}

function streamNameIn(input: Record<string, unknown>): string | undefined {
  const { StreamName: name, StreamARN, ConsumerARN, ResourceARN } = input
  if (typeof name === 'string') return name
  const arn = StreamARN ?? ConsumerARN ?? ResourceARN
  return typeof arn === 'string' ? arn.split(':stream/')[1]?.split('/')[0] : undefined
}

function asServiceError(thrown: unknown, logger: Logger): ServiceError {
  if (thrown instanceof ServiceError) return thrown
  logger.error({ err: thrown }, 'the local Kinesis failed')
  return new ServiceError('InternalFailure', 'Internal service failure.')
}
