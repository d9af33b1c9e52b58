import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { parseFunctionName } from '../../event-source/functions/function-name.ts'
import { createApiActions } from '../../identity/policies/api-actions.ts'
import type { ApiActions } from '../../identity/policies/api-actions.ts'
import type { AccessKey, AccessKeys } from '../../identity/access-keys/access-keys.ts'
import type { LoginAttempt, LoginLimiter } from '../../identity/passwords/login-limiter.ts'
import { callerArn } from '../../identity/policies/resource-arn.ts'
import type { ResourceOwner } from '../../identity/policies/resource-arn.ts'
import { parseAuthorization } from '../../sigv4/authorization.ts'
import { refusalCodes } from '../../sigv4/refusal-codes.ts'
import { verifySignature } from '../../sigv4/verify-signature.ts'
import type { RefusalReason } from '../../sigv4/verify-signature.ts'
import type { CallLimiter } from './call-limiter.ts'
import { operationOf } from './api.ts'
import type { Apis } from './api.ts'
import { bodyBytes, bodyJson } from './body-bytes.ts'
import { throttled } from './http-answers.ts'
import type { HttpApp } from './http-app.ts'
import { restOfPath } from './rest-of-path.ts'

/**
 * Who may call the HTTP API, in three steps of a request's life:
 *
 * 1. Its headers are there: a request that is not signed, or is signed with an unknown key, is
 *    refused before its body is read.
 * 2. Its body is there: the signature is verified over the path and the bytes as they came.
 *    A valid signature passes whatever failed before it: guesses are answered less often, and
 *    verifying costs no more than a hash.
 * 3. Its path, query and body are read as the route reads them: the policy of the key decides.
 *
 * Until step 2 has passed every path answers the same, also a path that does not exist or does not
 * take the method; only a body that is longer than its path takes is refused as such, because it is
 * not read. Authenticated clients are told 404 and 405. An operation may be open to anyone, or to
 * the bearer of the metrics token as well (`Operation.access`). While there is no access key, no
 * client can be authenticated.
 */
export interface ApiAccess {
  readonly keys: Pick<AccessKeys, 'find' | 'count' | 'isUnreadable'>
  /** The owner of all resources; signatures are for its region. */
  readonly owner: ResourceOwner
  /** The bearer token for the metrics, if there is one. */
  readonly metricsToken: string | undefined
}

/**
 * Key ids are no secret and cost nothing to invent, so that the failures of unknown keys must not
 * count against the known keys of an address.
 */
interface FailureLimits {
  readonly known: Pick<LoginLimiter, 'waitMs' | 'failed'>
  readonly unknown: Pick<LoginLimiter, 'waitMs' | 'failed'>
}

interface ApiGuardDependencies {
  readonly clock: Clock
  /** Counts refused signatures by access key and address. */
  readonly failures: FailureLimits
  /** The address of the client, which a trusted proxy may have named. */
  readonly addressOf: (request: FastifyRequest) => string
  /** Undefined: authenticated clients may call at any rate. */
  readonly calls: CallLimiter | undefined
  /** The APIs that are served: each has its signing name. */
  readonly apis: Apis
}

/** What is known of the caller of a request. */
interface ApiGuard {
  /** The access key that signed the request, once the signature is verified. */
  callerOf(request: FastifyRequest): AccessKey | undefined
  /** Whether the policy of the caller allows an action that a part of the answer takes. */
  allows(request: FastifyRequest, action: string): boolean
  /** The id of the key that the headers name: a known one, by which anyone may have signed. */
  claimedKeyId(request: FastifyRequest): string | undefined
}

export const closedMessage =
  'There is no access key yet, so no request is let in: make one with `sluice keys create`.'

const unreadableMessage = 'The access keys cannot be read now: try again later.'

/** Adds the three steps; routes that are added later are guarded. */
export function guardApi(
  app: HttpApp,
  { keys, owner, metricsToken }: ApiAccess,
  { clock, failures, calls, apis, addressOf }: ApiGuardDependencies,
): ApiGuard {
  const actions = createApiActions(owner)
  const attempts = new WeakMap<FastifyRequest, LoginAttempt>()
  const callers = new WeakMap<FastifyRequest, AccessKey>()
  const isOpen = (request: FastifyRequest) => {
    const access = operationOf(request)?.access
    if (access === 'unsigned') return request.headers.authorization === undefined
    return access === 'anyone' || bearsToken(request, metricsToken)
  }

  app.addHook('onRequest', async (request) => {
    if (isOpen(request)) return
    if (keys.isUnreadable()) throw new SluiceError('ServiceUnavailableException', unreadableMessage)
    if (keys.count === 0) throw new SluiceError('AccessDeniedException', closedMessage)
    const parsed = parseAuthorization(request.headers)
    if ('reason' in parsed) throw new SluiceError(refusalCodes[parsed.reason], parsed.message)
    const attempt = { address: addressOf(request), user: parsed.accessKeyId }
    attempts.set(request, attempt)
    if (!keys.find(parsed.accessKeyId)) throw failed(failures.unknown, attempt, unknownKey())
  })

  app.addHook('preValidation', async (request) => {
    if (isOpen(request)) return
    const verified = await verifySignature(
      {
        method: request.method,
        target: request.raw.url ?? '/',
        headers: request.headers,
        body: bodyBytes(request),
      },
      {
        service: apis.of(request).signingName,
        otherServices: apis.of(request).otherSigningNames,
        regions: [owner.region],
        nowMs: clock.wallMs(),
        findKey: (accessKeyId) => keys.find(accessKeyId),
      },
    )
    if (!verified.isValid) {
      const attempt = attempts.get(request)
      const refusal = new SluiceError(refusalCodes[verified.reason], verified.message)
      throw attempt && isGuess(verified.reason) ? failed(failures.known, attempt, refusal) : refusal
    }
    const caller = keys.find(verified.accessKeyId)
    // The file may have changed while the signature was verified.
    if (!caller) throw unknownKey()
    const waitMs = calls?.take(caller.accessKeyId) ?? 0
    if (waitMs > 0) throw throttled(waitMs, 'Rate exceeded.')
    callers.set(request, caller)
  })

  app.addHook('preHandler', async (request) => {
    if (isOpen(request) || request.is404) return
    const caller = callers.get(request)
    if (!caller) throw unknownKey()
    refuseForbidden(request, caller, actions, owner)
  })
  return {
    callerOf: (request) => callers.get(request),
    allows: (request, action) =>
      callers.get(request)?.policy.decide({ action, resource: '*' }) === 'allow',
    claimedKeyId: (request) => attempts.get(request)?.user,
  }
}

/** The header of CreateTopicRule with the tags of the new rule. */
export const taggingHeader = 'x-amz-tagging'

/** A clock that is off, or a key that has expired, is no attempt to guess a secret. */
const isGuess = (reason: RefusalReason) => reason === 'mismatch' || reason === 'unknownKey'

/**
 * Counts a failure.
 *
 * @returns the refusal; beyond the limit ThrottlingException, which tells nothing of the guess
 */
function failed(
  limit: FailureLimits['known'],
  attempt: LoginAttempt,
  refusal: SluiceError,
): SluiceError {
  const waitMs = limit.waitMs(attempt)
  if (waitMs > 0) return throttled(waitMs, 'Too many requests could not be let in.')
  limit.failed(attempt)
  return refusal
}

function unknownKey(): SluiceError {
  return new SluiceError(
    refusalCodes.unknownKey,
    'The security token included in the request is invalid.',
  )
}

/** @throws SluiceError AccessDeniedException in AWS's words, naming the first missing action */
function refuseForbidden(
  request: FastifyRequest,
  { accessKeyId, policy }: AccessKey,
  actions: ApiActions,
  owner: ResourceOwner,
): void {
  const route = routeOf(request)
  const required = actions.requiredFor({
    route,
    names: namesOf(request),
    query: isRecord(request.query) ? request.query : {},
    isTagged: Boolean(request.headers[taggingHeader]),
    principal: textOf(request.headers['x-amzn-iot-principal']),
    body: () => jsonOf(request),
  })
  const user = `User: ${callerArn(accessKeyId, owner)} is not authorized`
  if (!required) throw new SluiceError('AccessDeniedException', `${user} to call ${route}`)
  for (const { action, resource } of required) {
    const decision = policy.decide({ action, resource })
    if (decision === 'allow') continue
    const reason =
      decision === 'deny'
        ? 'with an explicit deny in an identity-based policy'
        : `because no identity-based policy allows the ${action} action`
    throw new SluiceError(
      'AccessDeniedException',
      `${user} to perform: ${action} on resource: ${resource} ${reason}`,
    )
  }
}

/** Method and pattern of the route; for a path without a route, the method alone. */
const routeOf = ({ method, routeOptions }: FastifyRequest) => `${method} ${routeOptions.url ?? ''}`

/**
 * The names in the path, exactly as the handlers read them: a topic is the rest of the raw path.
 */
function namesOf(request: FastifyRequest) {
  const { url = '' } = request.routeOptions
  const params = isRecord(request.params) ? request.params : {}
  const { ruleName, clientId, thingName, functionName, resource } = params
  const { certificateId, policyName, target } = params
  return {
    ruleName: textOf(ruleName),
    clientId: textOf(clientId),
    thingName: textOf(thingName),
    certificateId: textOf(certificateId),
    policyName: textOf(policyName),
    target: textOf(target),
    functionName: ownFunctionOf(functionName),
    resource: textOf(resource)?.startsWith('arn:') ? textOf(resource) : undefined,
    rest: url.endsWith('/*') ? restOfPath(request.raw.url, url.slice(0, -1)) : undefined,
  }
}

/**
 * The function of this server that a path names: an ARN of any account, a version and an alias all
 * invoke the function of that name in the folder. Undefined for what the handler refuses.
 */
function ownFunctionOf(given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined
  try {
    return parseFunctionName(given).name
  } catch {
    return undefined
  }
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** @throws SluiceError AccessDeniedException: a bearer token that is not valid */
function bearsToken(request: FastifyRequest, token: string | undefined): boolean {
  if (token === undefined || operationOf(request)?.access !== 'metricsToken') return false
  const [, given] = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
  if (given === undefined) return false
  if (timingSafeEqual(digestOf(given), digestOf(token))) return true
  throw new SluiceError('AccessDeniedException', 'The bearer token is not valid.')
}

/** Digests have one length, which `timingSafeEqual` needs. */
const digestOf = (text: string) => createHash('sha256').update(text).digest()

/** Undefined for a body that is no JSON; its handler refuses it. */
function jsonOf(request: FastifyRequest): unknown {
  try {
    return bodyJson(request)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
