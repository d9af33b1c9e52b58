import { randomUUID } from 'node:crypto'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { CheckCaller } from '../service/caller-check.ts'
import { callerArnOf } from '../service/role-sessions.ts'
import type { CallSubject, Faults } from '../faults/faults.ts'
import { accessKeyIdOf, answer } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest, LabRequestHead } from '../wire/lab-http.ts'
import { carryOutServiceCall } from '../service/service-call.ts'
import type { CallObserver } from '../service/service-call.ts'
import { ServiceError } from '../wire/service-error.ts'
import { stsOperations, unsignedStsOperations } from './sts-operations.ts'
import type { StsContext, StsResult } from './sts-operations.ts'

/**
 * The query protocol of STS: form requests, XML responses. Every caller may assume every role,
 * unless a fault rule refuses it.
 */
interface StsDependencies extends StsContext {
  readonly faults: Faults
  readonly observer: CallObserver
  readonly logger: Logger
  /** Undefined allows every caller, also unsigned requests. */
  readonly checkCaller?: CheckCaller | undefined
}

const apiVersion = '2011-06-15'
const namespace = `https://sts.amazonaws.com/doc/${apiVersion}/`

/** Whether the request uses this protocol: a form, or a query with an Action. */
export function isStsRequest(request: LabRequestHead): boolean {
  const type = request.headers['content-type'] ?? ''
  return request.method === 'POST'
    ? type.startsWith('application/x-www-form-urlencoded')
    : new URLSearchParams(request.target.split('?')[1]).has('Action')
}

/** Executes a request. Never rejects. */
export async function answerSts(
  dependencies: StsDependencies,
  request: LabRequest,
): Promise<LabAnswer> {
  const requestId = randomUUID()
  const query = request.method === 'POST' ? request.body.toString() : request.target.split('?')[1]
  const form = Object.fromEntries(new URLSearchParams(query))
  const action = form['Action'] ?? ''
  const accessKeyId = accessKeyIdOf(request.headers)
  const call: CallSubject = {
    operation: action,
    partitionKeys: [],
    roleArn: form['RoleArn'],
    externalId: form['ExternalId'],
    accessKeyId,
  }
  return carryOutServiceCall({
    context: dependencies,
    observer: dependencies.observer,
    request,
    requestId,
    call,
    refusal: await refusalOf(dependencies, action, request),
    denial: () => ({
      callerArn: callerArnOf(dependencies.sessions, accessKeyId, dependencies.accountId),
      action: `sts:${action}`,
      resourceArn: call.roleArn ?? '*',
    }),
    run() {
      const result = resultOf(dependencies, action, form, accessKeyId)
      const body =
        `<${action}Response xmlns="${namespace}"><${action}Result>${xml(result)}` +
        `</${action}Result>${xml({ ResponseMetadata: { RequestId: requestId } })}` +
        `</${action}Response>`
      return { answer: answer(200, 'text/xml', body, requestId) }
    },
    onError(thrown) {
      const error = asServiceError(thrown, dependencies.logger)
      return { error, answer: stsErrorAnswer(error, requestId) }
    },
  })
}

export function stsErrorAnswer(error: ServiceError, requestId: string): LabAnswer {
  const details = {
    Type: error.status >= 500 ? 'Receiver' : 'Sender',
    Code: error.code,
    Message: error.message,
  }
  const body =
    `<ErrorResponse xmlns="${namespace}">` +
    `${xml({ Error: details, RequestId: requestId })}</ErrorResponse>`
  return answer(error.status, 'text/xml', body, requestId)
}

function resultOf(
  dependencies: StsDependencies,
  action: string,
  form: Readonly<Record<string, string>>,
  accessKeyId: string | undefined,
): StsResult {
  const operation = stsOperations.get(action)
  if (operation) return operation(dependencies, form, accessKeyId)
  throw new ServiceError(
    'InvalidAction',
    `The local STS does not have the operation ${action} (version ${apiVersion}).`,
  )
}

/**
 * Clients do not sign AssumeRoleWithWebIdentity: its token says who calls. The lab cannot verify
 * it, so a strict lab refuses the operation.
 */
async function refusalOf(
  { checkCaller }: StsDependencies,
  action: string,
  request: LabRequest,
): Promise<ServiceError | undefined> {
  if (!checkCaller || !unsignedStsOperations.has(action)) return checkCaller?.('sts', request)
  const message = `A strict lab does not take ${action}, because it cannot verify the token.`
  return new ServiceError('AccessDenied', message)
}

function xml(content: StsResult): string {
  return Object.entries(content)
    .map(([name, value]) => {
      return `<${name}>${typeof value === 'string' ? escapeXml(value) : xml(value)}</${name}>`
    })
    .join('')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

const escapeXml = (raw: string) => raw.replace(/[&<>"]/g, (mark) => entities[mark] ?? mark)

function asServiceError(thrown: unknown, logger: Logger): ServiceError {
  if (thrown instanceof ServiceError) return thrown
  logger.error({ err: thrown }, 'the local STS failed')
  return new ServiceError('InternalFailure', 'Internal service failure.')
}
