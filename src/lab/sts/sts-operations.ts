import type { Clock } from '../../base/clock.ts'
import { defined } from '../../base/defined.ts'
import { callerArnOf } from '../service/role-sessions.ts'
import type { RoleSessions } from '../service/role-sessions.ts'
import { ServiceError } from '../wire/service-error.ts'
import { integer, isObject, readRequest, required, structure, text } from '../wire/validation.ts'
import type { Shape } from '../wire/validation.ts'
import { issueSession, randomRoleId } from './issue-session.ts'
import { readWebIdentity } from './web-identity.ts'

/**
 * The operations of STS. Session policies, tags and codes of MFA are taken and have no effect,
 * because the lab evaluates no policies.
 */
export interface StsContext {
  readonly clock: Clock
  readonly accountId: string
  readonly sessions: RoleSessions
}

/** A result as it becomes XML: elements by their names. */
export interface StsResult {
  readonly [name: string]: string | StsResult
}

type Form = Readonly<Record<string, string>>

/** @throws ServiceError with a code of STS */
type StsOperation = (context: StsContext, form: Form, accessKeyId: string | undefined) => StsResult

const hourSeconds = 3_600

const roleArnPattern =
  /^arn:aws[\w-]*:iam::(\d{12}):role\/(?:[\u0021-\u007e]+\/)?([\w+=,.@-]{1,64})$/

const sessionName = text({ min: 2, max: 64, pattern: '[\\w+=,.@-]*' })
const roleMembers = {
  RoleArn: required(text({ min: 20, max: 2048 })),
  RoleSessionName: required(sessionName),
  DurationSeconds: integer({ min: 900, max: 12 * hourSeconds }),
  Policy: text({ min: 1 }),
} as const

const assumeRoleInput = structure({
  ...roleMembers,
  ExternalId: text({ min: 2, max: 1224, pattern: '[\\w+=,.@:/-]*' }),
  SourceIdentity: sessionName,
})

function assumeRole(context: StsContext, form: Form): StsResult {
  const input = inputOf(assumeRoleInput, form)
  return {
    ...startRoleSession(context, input),
    ...defined({ SourceIdentity: input.SourceIdentity }),
  }
}

const webIdentityInput = structure({
  ...roleMembers,
  WebIdentityToken: required(text({ min: 4, max: 20_000 })),
  ProviderId: text({ min: 4, max: 2048 }),
})

function assumeRoleWithWebIdentity(context: StsContext, form: Form): StsResult {
  const input = inputOf(webIdentityInput, form)
  const identity = readWebIdentity(context, input.WebIdentityToken, input.ProviderId)
  return { ...startRoleSession(context, input), ...identity }
}

interface RoleRequest {
  readonly RoleArn: string
  readonly RoleSessionName: string
  readonly DurationSeconds?: number
  readonly Policy?: string
}

function startRoleSession(context: StsContext, input: RoleRequest) {
  const { RoleArn, RoleSessionName: name, DurationSeconds = hourSeconds } = input
  const [, accountId, roleName] = roleArnPattern.exec(RoleArn) ?? []
  if (accountId === undefined || roleName === undefined) {
    throw new ServiceError('ValidationError', `${RoleArn} is invalid`)
  }
  checkPolicy(input.Policy)
  const userId = `${randomRoleId()}:${name}`
  const arn = `arn:aws:sts::${accountId}:assumed-role/${roleName}/${name}`
  const credentials = issueSession(context, { arn, userId, lifeSeconds: DurationSeconds })
  return { Credentials: credentials, AssumedRoleUser: { AssumedRoleId: userId, Arn: arn } }
}

/** The lab's own limits are those of AWS for an IAM user. */
const sessionDuration = integer({ min: 900, max: 36 * hourSeconds })
const sessionDurationDefault = 12 * hourSeconds

const sessionTokenInput = structure({ DurationSeconds: sessionDuration })

function getSessionToken(
  context: StsContext,
  form: Form,
  accessKeyId: string | undefined,
): StsResult {
  refuseSession(context, 'GetSessionToken', accessKeyId)
  const { DurationSeconds = sessionDurationDefault } = inputOf(sessionTokenInput, form)
  const arn = callerArnOf(context.sessions, accessKeyId, context.accountId)
  const userId = accessKeyId ?? 'lab'
  return { Credentials: issueSession(context, { arn, userId, lifeSeconds: DurationSeconds }) }
}

const federationInput = structure({
  Name: required(text({ min: 2, max: 32, pattern: '[\\w+=,.@-]*' })),
  DurationSeconds: sessionDuration,
  Policy: text({ min: 1 }),
})

function getFederationToken(
  context: StsContext,
  form: Form,
  accessKeyId: string | undefined,
): StsResult {
  refuseSession(context, 'GetFederationToken', accessKeyId)
  const input = inputOf(federationInput, form)
  const { Name: name, DurationSeconds = sessionDurationDefault } = input
  checkPolicy(input.Policy)
  const userId = `${context.accountId}:${name}`
  const arn = `arn:aws:sts::${context.accountId}:federated-user/${name}`
  return {
    Credentials: issueSession(context, { arn, userId, lifeSeconds: DurationSeconds }),
    FederatedUser: { FederatedUserId: userId, Arn: arn },
  }
}

/** @throws ServiceError AccessDenied, as on AWS for the keys of a session */
function refuseSession(
  { sessions }: StsContext,
  action: string,
  accessKeyId: string | undefined,
): void {
  if (accessKeyId === undefined || !sessions.get(accessKeyId)) return
  throw new ServiceError('AccessDenied', `Cannot call ${action} with session credentials`)
}

const accessKeyInput = structure({
  AccessKeyId: required(text({ min: 16, max: 128, pattern: '\\w*' })),
})

function getAccessKeyInfo({ accountId, sessions }: StsContext, form: Form): StsResult {
  const { AccessKeyId } = inputOf(accessKeyInput, form)
  return { Account: accountOf(sessions.get(AccessKeyId)?.arn) ?? accountId }
}

function getCallerIdentity(
  { accountId, sessions }: StsContext,
  _form: Form,
  accessKeyId: string | undefined,
): StsResult {
  const session = accessKeyId === undefined ? undefined : sessions.get(accessKeyId)
  return {
    Arn: callerArnOf(sessions, accessKeyId, accountId),
    UserId: session?.userId ?? accessKeyId ?? 'lab',
    Account: accountOf(session?.arn) ?? accountId,
  }
}

const accountOf = (arn: string | undefined) => arn?.split(':')[4]

/** Reads the members of a form, all of which are texts. */
function inputOf<Input>(shape: Shape<Input>, form: Form): Input {
  const { DurationSeconds: given } = form
  if (given !== undefined && !/^-?\d{1,9}$/.test(given)) {
    throw new ServiceError('MalformedInput', `DurationSeconds must be an integer: ${given}`)
  }
  const duration = given === undefined ? {} : { DurationSeconds: Number(given) }
  return readRequest(shape, { ...form, ...duration }, 'ValidationError')
}

function checkPolicy(policy: string | undefined): void {
  if (policy === undefined) return
  try {
    if (isObject(JSON.parse(policy))) return
  } catch {
    // Told below.
  }
  throw new ServiceError('MalformedPolicyDocument', 'The Policy is not a JSON object.')
}

/** The operations that the lab supports, by name. */
export const stsOperations: ReadonlyMap<string, StsOperation> = new Map([
  ['AssumeRole', assumeRole],
  ['AssumeRoleWithWebIdentity', assumeRoleWithWebIdentity],
  ['GetAccessKeyInfo', getAccessKeyInfo],
  ['GetCallerIdentity', getCallerIdentity],
  ['GetFederationToken', getFederationToken],
  ['GetSessionToken', getSessionToken],
])

/** Operations whose callers have no keys yet. */
export const unsignedStsOperations: ReadonlySet<string> = new Set(['AssumeRoleWithWebIdentity'])

/** The operations of STS that the lab does not have. */
export const missingStsOperations: readonly string[] = [
  'AssumeRoleWithSAML',
  'AssumeRoot',
  'DecodeAuthorizationMessage',
  'GetDelegatedAccessToken',
  'GetWebIdentityToken',
]
