import type { FastifyRequest } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import type { TrustedProxies } from '../base/trusted-proxies.ts'
import { invalidRequest, SluiceError } from '../base/errors.ts'
import { createLoginLimiter, networkOf } from '../identity/passwords/login-limiter.ts'
import { guardOrigin } from '../base/origin-guard.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { operationOf } from './server/api.ts'
import { addApiDocument } from './server/api-document.ts'
import { guardApi } from './server/api-guard.ts'
import type { ApiAccess } from './server/api-guard.ts'
import { addApiRoutes, addLater, apis } from './api-routes.ts'
import type { ApiRouteDependencies } from './api-routes.ts'
import { readBodies } from './server/read-bodies.ts'
import { createCallLimiter } from './server/call-limiter.ts'
import type { CallLimiter } from './server/call-limiter.ts'
import { requestIdHeader, throttled } from './server/http-answers.ts'
import { createHttpApp } from './server/http-app.ts'
import { createHttpListener } from './server/http-listener.ts'
import type { HttpListener, HttpListenerDependencies } from './server/http-listener.ts'
import { httpLimits } from './server/node-server.ts'
import type { HttpLimits, OnUpgrade } from './server/node-server.ts'
import { createUnknownPaths } from './server/unknown-paths.ts'

/**
 * The HTTP port: AWS IoT's control plane and data plane, Lambda's event source mappings, and under
 * `/v1` what AWS does not have; over TLS when it is given certificates. MQTT over WebSocket begins
 * here as well.
 */
interface HttpServer {
  /**
   * @returns the port, which the system has chosen when the options say 0
   * @throws SluiceError PortUnavailable, IdentityFileInvalid (rejects)
   */
  listen(): Promise<number>
  /**
   * Takes no new connections. Resolves when all requests under way are answered; after
   * `closeTimeoutMs` their connections are closed without an answer.
   */
  close(): Promise<void>
}

export interface HttpServerDependencies
  extends ApiRouteDependencies, Pick<HttpListenerDependencies, 'tls' | 'faults'> {
  /** Takes WebSocket upgrades on `/mqtt`. */
  readonly onUpgrade?: OnUpgrade | undefined
  /** A port that listens already, for this server to take over. Absent: it opens its own. */
  readonly listener?: HttpListener | undefined
  /** Absent: no proxy is trusted. */
  readonly proxies?: TrustedProxies | undefined
  /** Absent: requests are not authenticated. */
  readonly access?: ApiAccess | undefined
  readonly logger: Logger
}

export interface HttpServerOptions {
  readonly host: string
  readonly port: number
  /**
   * Whether requests from any origin are taken while none is authenticated: see origin-guard.ts.
   */
  readonly insecure: boolean
  /** How long requests under way may take when the server closes. Default: 2 s. */
  readonly closeTimeoutMs?: number
  /** Calls a second of one access key or, without authentication, of one address. 0: no limit. */
  readonly callRate: number
  /** Memory for the bodies of all requests under way. Default: 64 MiB. */
  readonly bodyBytesMax?: number
  /** Bodies of one caller that may arrive at the same time. Default: 256. */
  readonly bodiesPerCallerMax?: number
  /** These override `httpLimits`. */
  readonly limits?: Partial<HttpLimits>
}

const closeTimeoutMsDefault = 2_000
const bodyDefaults = { bodyBytesMax: 67_108_864, bodiesPerCallerMax: 256 }
/** The calls of at most this many callers are counted. */
const callersMax = 10_000

export function createHttpServer(
  dependencies: HttpServerDependencies,
  options: HttpServerOptions,
): HttpServer {
  const { logger, metrics, access, clock, proxies = createTrustedProxies([]) } = dependencies
  const addressOf = ({ ip, headers }: FastifyRequest) =>
    proxies.clientOf(ip, headers['x-forwarded-for']) ?? 'unknown'
  const limits = { ...httpLimits, ...options.limits }
  const refuseWhileStarting = () => {
    if (dependencies.health().status === 'starting') throw starting()
  }
  const onUpgrade = upgradeAfter(refuseWhileStarting, dependencies.onUpgrade)
  const { listener = createHttpListener({ ...dependencies, proxies }, { ...options, limits }) } =
    dependencies
  const app = createHttpApp({ apis, logger }, (handler) =>
    listener.serverFactory(handler, onUpgrade),
  )
  const unknownPaths = createUnknownPaths(app, apis)
  const calls = callLimiterOf(dependencies, options)

  app.addHook('onRequest', async (request, reply) => {
    reply.header(requestIdHeader, request.id)
    refuseHeaders(request, limits)
    if (!isWatching(request)) refuseWhileStarting()
    // A web page cannot sign requests, so the guard of signatures keeps pages out as well.
    if (access) return
    const { host, origin } = request.headers
    guardOrigin({ host, origin }, options)
    if (isWatching(request)) return
    const waitMs = calls?.take(networkOf(addressOf(request))) ?? 0
    if (waitMs > 0) throw throttled(waitMs, 'Rate exceeded.')
    // Before the body, which may be longer than is taken here: code of a function, for example.
    if (operationOf(request) === undefined) unknownPaths.refuseMissingOperation(request)
  })
  const guard =
    access &&
    guardApi(app, access, { clock, failures: failureLimits(clock), calls, apis, addressOf })
  readBodies(
    app,
    {
      clock,
      callerOf: (request) =>
        `${networkOf(addressOf(request))} ${guard?.claimedKeyId(request) ?? ''}`,
    },
    { ...bodyDefaults, ...options, bodyStalledTimeoutMs: limits.bodyStalledTimeoutMs },
  )
  app.addHook('onResponse', async (request, reply) => {
    const pattern = request.routeOptions.url
    // The caller chooses paths without a route, so they must not become labels.
    const route = pattern === undefined ? 'unknown' : `${request.method} ${pattern}`
    metrics.httpRequests.inc({ route, status: String(reply.statusCode) })
  })

  addApiDocument(app, { apis, isSigned: access !== undefined })
  addApiRoutes(app, dependencies, {
    principalOf: (request) => guard?.callerOf(request)?.accessKeyId,
    addressOf,
    mayReadPayloads: (request) => guard?.allows(request, 'sluice:ReadPayloads') ?? true,
  })
  addLater(app, (routes) => unknownPaths.addOtherMethods(routes))

  return {
    async listen() {
      // An error of a route or a plugin must not be reported as one of the port.
      await app.ready()
      return listener.listen((address) => app.listen(address))
    },
    async close() {
      // A client may never end its body, or never read its answer.
      const { closeTimeoutMs = closeTimeoutMsDefault } = options
      const cancel = clock.after(closeTimeoutMs, () => listener.closeAllConnections())
      await Promise.all([listener.stop(), app.close()])
      cancel()
    },
  }
}

const failureLimits = (clock: Clock) => ({
  known: createLoginLimiter({ clock }),
  unknown: createLoginLimiter({ clock }),
})

function callLimiterOf(
  { clock }: HttpServerDependencies,
  { callRate: callsPerSecond }: HttpServerOptions,
): CallLimiter | undefined {
  if (callsPerSecond === 0) return undefined
  return createCallLimiter({ clock }, { callsPerSecond, callersMax })
}

function upgradeAfter(check: () => void, onUpgrade: OnUpgrade | undefined): OnUpgrade | undefined {
  if (onUpgrade === undefined) return undefined
  return (...upgrade) => {
    check()
    onUpgrade(...upgrade)
  }
}

/** Until what guards the API stands, only health and metrics are served. */
const starting = () =>
  new SluiceError('ServiceUnavailableException', 'The engine is starting: try again later.')

/** Health and metrics have no limit of calls, so that a busy engine can be watched. */
function isWatching(request: FastifyRequest): boolean {
  const access = operationOf(request)?.access
  return access !== undefined && access !== 'unsigned'
}

/** @throws SluiceError InvalidRequestException */
function refuseHeaders({ headers, raw }: FastifyRequest, { headersMax }: HttpLimits): void {
  if (raw.rawHeaders.length > 2 * headersMax) {
    throw invalidRequest(`more than ${headersMax} headers are given`)
  }
  if (headers.host === undefined && raw.httpVersion === '1.1') {
    throw invalidRequest('the header Host is missing')
  }
}
