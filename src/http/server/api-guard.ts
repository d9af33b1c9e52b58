import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { createApiActions } from '../../identity/policies/api-actions.ts'
import type { ApiActions } from '../../identity/policies/api-actions.ts'
import type { AccessKey, AccessKeys } from '../../identity/access-keys/credentials-file.ts'
import type { LoginAttempt, LoginLimiter } from '../../identity/passwords/login-limiter.ts'
import { callerArn } from '../../identity/policies/resource-arn.ts'
import type { ResourceOwner } from '../../identity/policies/resource-arn.ts'
import { parseJson } from '../../rules/payload.ts'
import { parseAuthorization } from '../../sigv4/authorization.ts'
import { refusalCodes } from '../../sigv4/refusal-codes.ts'
import { verifySignature } from '../../sigv4/verify-signature.ts'
import type { RefusalReason } from '../../sigv4/verify-signature.ts'
import type { CallLimiter } from './call-limiter.ts'
import { throttled } from './http-answers.ts'
import type { HttpApp } from './http-app.ts'
import { taggingHeader } from '../aws-iot/iot-rules.ts'
import { restOfPath } from './rest-of-path.ts'

/**
 * Who may call the HTTP API, in three steps of a request's life:
 *
 * 1. its headers are there: whoever is not signed, signs with an unknown key, or has failed too often
 *    from where he is, is refused before a byte of the body is kept;
 * 2. its body is there: the signature is verified over the path and the bytes as they came;
 * 3. its path, query and body are read as the route reads them: the policy of the key decides.
 *
 * Until 2 has passed every path answers the same, also one that does not exist, or not with this
 * method (a body that is longer than the path takes is told so, for it is not read); whoever is known is then told 404 and 405. `GET /v1/health` is open to all, and
 * `GET /v1/metrics` to the bearer of the token as well. While there is no key nobody can be let in.
 */
export interface ApiAccess {
  readonly keys: Pick<AccessKeys, 'find' | 'count' | 'isUnreadable'>
  /** Whose resources these are; signatures are for its region. */
  readonly owner: ResourceOwner
  /** Of `GET /v1/metrics`; absent: there is none. */
  readonly metricsToken: string | undefined
}

export interface ApiGuardDependencies {
  readonly clock: Clock
  /** Of signatures that were refused, by access key and address. */
  readonly failures: Pick<LoginLimiter, 'waitMs' | 'failed'>
  /** Absent: whoever is known may call as often as he likes. */
  readonly calls: CallLimiter | undefined
}

/** Tells who signed a request, once that is verified. */
export type CallerOf = (request: FastifyRequest) => AccessKey | undefined

export const closedMessage =
  'There is no access key yet, so that nobody is let in: make one with `sluice keys create`.'

const unreadableMessage = 'The access keys cannot be read now: try again later.'

/** Adds the three steps; routes that are added later are guarded. */
export function guardApi(
  app: HttpApp,
  { keys, owner, metricsToken }: ApiAccess,
  { clock, failures, calls }: ApiGuardDependencies,
): CallerOf {
  const actions = createApiActions(owner)
  const attempts = new WeakMap<FastifyRequest, LoginAttempt>()
  const callers = new WeakMap<FastifyRequest, AccessKey>()
  const isOpen = (request: FastifyRequest) =>
    openRoutes.has(routeOf(request)) || bearsToken(request, metricsToken)

  app.addHook('onRequest', async (request) => {
    if (isOpen(request)) return
    if (keys.isUnreadable()) throw new SluiceError('ServiceUnavailableException', unreadableMessage)
    if (keys.count === 0) throw new SluiceError('AccessDeniedException', closedMessage)
    const parsed = parseAuthorization(request.headers)
    if ('reason' in parsed) throw new SluiceError(refusalCodes[parsed.reason], parsed.message)
    const attempt = { address: request.ip, user: parsed.accessKeyId }
    const waitMs = failures.waitMs(attempt)
    if (waitMs > 0) throw throttled(waitMs, 'Too many requests could not be let in.')
    attempts.set(request, attempt)
    if (keys.find(parsed.accessKeyId)) return
    failures.failed(attempt)
    throw unknownKey()
  })

  app.addHook('preValidation', async (request) => {
    if (isOpen(request)) return
    const verified = await verifySignature(
      {
        method: request.method,
        target: request.raw.url ?? '/',
        headers: request.headers,
        body: bodyOf(request),
      },
      {
        service: serviceOf(request),
        regions: [owner.region],
        nowMs: clock.wallMs(),
        findKey: (accessKeyId) => keys.find(accessKeyId),
      },
    )
    if (!verified.isValid) {
      const attempt = attempts.get(request)
      if (attempt && isGuess(verified.reason)) failures.failed(attempt)
      throw new SluiceError(refusalCodes[verified.reason], verified.message)
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
  return (request) => callers.get(request)
}

const openRoutes: ReadonlySet<string> = new Set(['GET /v1/health', 'HEAD /v1/health'])
const metricsRoutes: ReadonlySet<string> = new Set(['GET /v1/metrics', 'HEAD /v1/metrics'])

/** A clock that is off, or a key that has expired, guesses nothing. */
const isGuess = (reason: RefusalReason) => reason === 'mismatch' || reason === 'unknownKey'

function unknownKey(): SluiceError {
  return new SluiceError(
    refusalCodes.unknownKey,
    'The security token included in the request is invalid.',
  )
}

/** @throws SluiceError AccessDeniedException in AWS's words, naming the first action that is missing */
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

/** Method and pattern; of a path that no route has, the method alone. */
const routeOf = ({ method, routeOptions }: FastifyRequest) => `${method} ${routeOptions.url ?? ''}`

const controlPlaneService = 'iot'
const dataPlaneService = 'iotdata'
const dataPlanePatterns = /^\/(?:topics|retainedMessage|connections)(?:\/|$)/

/** The name that the API of the path signs by; of a path that no route has, either of them. */
function serviceOf({ routeOptions, headers }: FastifyRequest): string {
  const { url } = routeOptions
  if (url?.startsWith('/2015-03-31/')) return 'lambda'
  if (url !== undefined) return dataPlanePatterns.test(url) ? dataPlaneService : controlPlaneService
  const parsed = parseAuthorization(headers)
  const isDataPlane = 'scope' in parsed && parsed.scope.service === dataPlaneService
  return isDataPlane ? dataPlaneService : controlPlaneService
}

/** What the path names, exactly as the handlers read it: a topic is the rest of the raw path. */
function namesOf(request: FastifyRequest) {
  const { url = '' } = request.routeOptions
  const params = isRecord(request.params) ? request.params : {}
  const { ruleName, clientId } = params
  return {
    ...(typeof ruleName === 'string' ? { ruleName } : {}),
    ...(typeof clientId === 'string' ? { clientId } : {}),
    ...(url.endsWith('/*') ? { topic: restOfPath(request.raw.url, url.slice(0, -1)) } : {}),
  }
}

/** @throws SluiceError AccessDeniedException: a bearer's token that is not the one */
function bearsToken(request: FastifyRequest, token: string | undefined): boolean {
  if (token === undefined || !metricsRoutes.has(routeOf(request))) return false
  const [, given] = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
  if (given === undefined) return false
  if (timingSafeEqual(digestOf(given), digestOf(token))) return true
  throw new SluiceError('AccessDeniedException', 'The bearer token is not valid.')
}

/** Of one length, whatever is compared. */
const digestOf = (text: string) => createHash('sha256').update(text).digest()

function bodyOf({ body }: FastifyRequest): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array()
}

/** Undefined for what is no JSON: its handler says so. */
function jsonOf(request: FastifyRequest): unknown {
  try {
    return parseJson(bodyOf(request))
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
