import { randomBytes, randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { CheckCaller } from '../service/caller-check.ts'
import { callerArnOf } from '../service/role-sessions.ts'
import type { RoleSessions } from '../service/role-sessions.ts'
import type { CallSubject, Faults } from '../faults/faults.ts'
import { accessKeyIdOf, answer } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest, LabRequestHead } from '../wire/lab-http.ts'
import { carryOutServiceCall } from '../service/service-call.ts'
import type { CallObserver } from '../service/service-call.ts'
import { ServiceError } from '../wire/service-error.ts'
import { integer, readRequest, required, structure, text } from '../wire/validation.ts'

/**
 * The operations of STS that a rules engine needs: AssumeRole and GetCallerIdentity over the query
 * protocol (form requests, XML responses). Every caller may assume every role, unless a fault rule
 * refuses it.
 */
interface StsDependencies {
  readonly clock: Clock
  readonly accountId: string
  readonly faults: Faults
  readonly observer: CallObserver
  readonly logger: Logger
  readonly sessions: RoleSessions
  /** Undefined allows every caller, also unsigned requests. */
  readonly checkCaller?: CheckCaller | undefined
}

const apiVersion = '2011-06-15'
const namespace = `https://sts.amazonaws.com/doc/${apiVersion}/`
const durationSecondsDefault = 3_600

/** The operations that the lab supports. */
export const stsOperations: readonly string[] = ['AssumeRole', 'GetCallerIdentity']

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
    refusal: await dependencies.checkCaller?.('sts', request),
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
): XmlContent {
  switch (action) {
    case 'AssumeRole':
      return assumeRole(dependencies, form)
    case 'GetCallerIdentity':
      return callerIdentity(dependencies, accessKeyId)
    default:
      throw new ServiceError(
        'InvalidAction',
        `The local STS does not have the operation ${action} (version ${apiVersion}).`,
      )
  }
}

const roleArnPattern =
  /^arn:aws[\w-]*:iam::(\d{12}):role\/(?:[\u0021-\u007e]+\/)?([\w+=,.@-]{1,64})$/

const assumeRoleInput = structure({
  RoleArn: required(text({ min: 20, max: 2048 })),
  RoleSessionName: required(text({ min: 2, max: 64, pattern: '[\\w+=,.@-]*' })),
  DurationSeconds: integer({ min: 900, max: 43_200 }),
  ExternalId: text({ min: 2, max: 1224, pattern: '[\\w+=,.@:/-]*' }),
})

function assumeRole(
  dependencies: StsDependencies,
  form: Readonly<Record<string, string>>,
): XmlContent {
  const input = readRequest(
    assumeRoleInput,
    { ...form, DurationSeconds: durationIn(form['DurationSeconds']) },
    'ValidationError',
  )
  const [, accountId, roleName] = roleArnPattern.exec(input.RoleArn) ?? []
  if (accountId === undefined || roleName === undefined) {
    throw new ServiceError('ValidationError', `${input.RoleArn} is invalid`)
  }
  const accessKeyId = `ASIA${randomOf(base32, 16)}`
  const userId = `AROA${randomOf(base32, 17)}:${input.RoleSessionName}`
  const arn = `arn:aws:sts::${accountId}:assumed-role/${roleName}/${input.RoleSessionName}`
  const secretAccessKey = randomBytes(30).toString('base64')
  const sessionToken = randomBytes(192).toString('base64')
  // STS reports whole seconds.
  const nowMs = dependencies.clock.wallMs()
  const lifeSeconds = input.DurationSeconds ?? durationSecondsDefault
  const expiresMs = (Math.floor(nowMs / 1000) + lifeSeconds) * 1000
  const endsAtMs = dependencies.clock.monotonicMs() + expiresMs - nowMs
  dependencies.sessions.set(accessKeyId, {
    arn,
    userId,
    secretAccessKey,
    sessionToken,
    endsAtMs,
  })
  return {
    Credentials: {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration: new Date(expiresMs).toISOString().replace(/\.\d+/, ''),
    },
    AssumedRoleUser: { AssumedRoleId: userId, Arn: arn },
  }
}

function durationIn(given: string | undefined): number | undefined {
  if (given === undefined) return undefined
  if (/^-?\d{1,9}$/.test(given)) return Number(given)
  throw new ServiceError('MalformedInput', `DurationSeconds must be an integer: ${given}`)
}

function callerIdentity(
  dependencies: StsDependencies,
  accessKeyId: string | undefined,
): XmlContent {
  const session = accessKeyId === undefined ? undefined : dependencies.sessions.get(accessKeyId)
  return {
    Arn: callerArnOf(dependencies.sessions, accessKeyId, dependencies.accountId),
    UserId: session?.userId ?? accessKeyId ?? 'lab',
    Account: session?.arn.split(':')[4] ?? dependencies.accountId,
  }
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

const randomOf = (alphabet: string, length: number) =>
  Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('')

interface XmlContent {
  readonly [name: string]: string | XmlContent
}

function xml(content: XmlContent): string {
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
