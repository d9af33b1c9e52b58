import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import { SluiceError, invalidRequest } from '../base/errors.ts'
import { createLoginLimiter, networkOf } from '../identity/passwords/login-limiter.ts'
import { guardOrigin } from '../base/origin-guard.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { addApiDocument } from './api-document.ts'
import { guardApi } from './server/api-guard.ts'
import type { ApiAccess } from './server/api-guard.ts'
import { limitBodies } from './server/body-limits.ts'
import { createCallLimiter } from './server/call-limiter.ts'
import type { CallLimiter } from './server/call-limiter.ts'
import { addDeadLetterRoutes } from './sluice/dead-letters.ts'
import type { DeadLetterRouteDependencies } from './sluice/dead-letters.ts'
import { addEvaluateRoute } from './sluice/evaluate.ts'
import type { EvaluateDependencies } from './sluice/evaluate.ts'
import { requestIdHeader, throttled } from './server/http-answers.ts'
import { createHttpApp, knownMethods } from './server/http-app.ts'
import type { HttpApp } from './server/http-app.ts'
import { createHttpListener } from './server/http-listener.ts'
import type { HttpListenerDependencies } from './server/http-listener.ts'
import { addDataPlaneRoutes } from './aws-iot/iot-data.ts'
import type { DataPlaneDependencies } from './aws-iot/iot-data.ts'
import { addEndpointRoute } from './aws-iot/iot-endpoint.ts'
import { addRuleRoutes } from './aws-iot/iot-rules.ts'
import type { RuleRouteDependencies } from './aws-iot/iot-rules.ts'
import { addTagRoutes } from './aws-iot/iot-tags.ts'
import type { TagDependencies } from './aws-iot/iot-tags.ts'
import { httpLimits } from './server/node-server.ts'
import type { HttpLimits, OnUpgrade } from './server/node-server.ts'
import { addEventSourceRoutes } from './lambda/lambda-event-sources.ts'
import type { EventSourceRouteDependencies } from './lambda/lambda-event-sources.ts'
import { addOutboxRoutes } from './sluice/outbox-routes.ts'
import type { OutboxRouteDependencies } from './sluice/outbox-routes.ts'
import { addDeliveryRoutes } from './sluice/rule-delivery.ts'
import { addStatusRoutes } from './sluice/status-routes.ts'
import type { Health } from './sluice/status-routes.ts'

/**
 * The HTTP port: AWS IoT's control plane and data plane, and under /v1 what AWS does not have; over
 * TLS when it is given certificates. MQTT over WebSocket begins here as well.
 */
export interface HttpServer {
  /**
   * @returns the port, also when 0 was asked for
   * @throws SluiceError PortUnavailable, IdentityFileInvalid (rejects)
   */
  listen(): Promise<number>
  /**
   * Takes no new connections and resolves when the requests under way are answered, or ended with
   * their connections after `closeTimeoutMs`.
   */
  close(): Promise<void>
}

export interface HttpServerDependencies
  extends
    EvaluateDependencies,
    DataPlaneDependencies,
    OutboxRouteDependencies,
    DeadLetterRouteDependencies,
    Pick<HttpListenerDependencies, 'tls' | 'onUpgrade' | 'faults'>,
    Pick<TagDependencies, 'ruleArnOf'>,
    Pick<RuleRouteDependencies, 'probeRoles'> {
  readonly rules: RuleStore
  readonly outbox: OutboxRouteDependencies['outbox'] & DeadLetterRouteDependencies['outbox']
  /** Absent: nothing is authenticated. */
  readonly access?: ApiAccess
  /** Absent: there are none, and no routes for them. */
  readonly eventSourceMappings?: EventSourceRouteDependencies['eventSourceMappings']
  readonly health: () => Health
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface HttpServerOptions {
  readonly host: string
  readonly port: number
  /** While nothing is authenticated the operator answers for the network: see origin-guard.ts. */
  readonly insecure: boolean
  /** What requests under way get when the server closes. Default: 2 s. */
  readonly closeTimeoutMs?: number
  /** Calls a second of an access key or, while nothing is authenticated, of an address. 0: any number. */
  readonly callRate: number
  /** Of all requests that are under way. Default: 64 MiB. */
  readonly bodyBytesMax?: number
  /** In place of those of `httpLimits`. */
  readonly limits?: Partial<HttpLimits>
}

const closeTimeoutMsDefault = 2_000
const bodyBytesMaxDefault = 67_108_864
/** Whose calls are counted, at most. */
const callersMax = 10_000

export function createHttpServer(
  dependencies: HttpServerDependencies,
  options: HttpServerOptions,
): HttpServer {
  const { rules, logger, metrics, access, clock } = dependencies
  const limits = { ...httpLimits, ...options.limits }
  const refuseWhileStarting = () => {
    if (dependencies.health().status === 'starting') throw starting()
  }
  const listener = createHttpListener(
    { ...dependencies, ...upgradeAfter(refuseWhileStarting, dependencies.onUpgrade) },
    { ...options, limits },
  )
  const app = createHttpApp(logger, (handler) => listener.serverFactory(handler))
  const patterns = collectPatterns(app)

  const calls = callLimiterOf(dependencies, options)

  app.addHook('onRequest', async (request, reply) => {
    reply.header(requestIdHeader, request.id)
    refuseHeaders(request, limits)
    if (!isWatching(request)) refuseWhileStarting()
    // No page can sign: the guard of signatures needs no help of the browser.
    if (access) return
    const { host, origin } = request.headers
    guardOrigin({ host, origin }, options)
    if (isWatching(request)) return
    const waitMs = calls?.take(networkOf(request.ip)) ?? 0
    if (waitMs > 0) throw throttled(waitMs, 'Rate exceeded.')
  })
  const callerOf =
    access && guardApi(app, access, { clock, failures: createLoginLimiter({ clock }), calls })
  limitBodies(app, options.bodyBytesMax ?? bodyBytesMaxDefault)
  app.addHook('onResponse', async (request, reply) => {
    const pattern = request.routeOptions.url
    // A path that no route has is the caller's invention: it must not become a label.
    const route = pattern === undefined ? 'unknown' : `${request.method} ${pattern}`
    metrics.httpRequests.inc({ route, status: String(reply.statusCode) })
  })

  addApiDocument(app, { isSigned: access !== undefined })
  addLater(app, (routes) => {
    addRuleRoutes(routes, dependencies)
    addTagRoutes(routes, dependencies)
    addEndpointRoute(routes)
    addDataPlaneRoutes(routes, dependencies, {
      principalOf: (request) => callerOf?.(request)?.accessKeyId,
    })
    addDeliveryRoutes(routes, rules)
    addEvaluateRoute(routes, dependencies)
    addOutboxRoutes(routes, dependencies)
    addDeadLetterRoutes(routes, dependencies)
    addStatusRoutes(routes, dependencies)
    const { eventSourceMappings } = dependencies
    if (eventSourceMappings) addEventSourceRoutes(routes, { eventSourceMappings, logger })
  })
  addLater(app, (routes) => refuseOtherMethods(routes, patterns))

  return {
    async listen() {
      // A fault in here is no fault of the port.
      await app.ready()
      return listener.listen((address) => app.listen(address))
    },
    async close() {
      // A client may send a body for ever, or not read its answer.
      const { closeTimeoutMs = closeTimeoutMsDefault } = options
      const cancel = clock.after(closeTimeoutMs, () => listener.closeAllConnections())
      listener.stop()
      await app.close()
      cancel()
    },
  }
}

function callLimiterOf(
  { clock }: HttpServerDependencies,
  { callRate: callsPerSecond }: HttpServerOptions,
): CallLimiter | undefined {
  if (callsPerSecond === 0) return undefined
  return createCallLimiter({ clock }, { callsPerSecond, callersMax })
}

function upgradeAfter(check: () => void, onUpgrade: OnUpgrade | undefined) {
  return (
    onUpgrade && {
      onUpgrade: (...upgrade: Parameters<OnUpgrade>) => {
        check()
        onUpgrade(...upgrade)
      },
    }
  )
}

/** Until what guards the API stands, nothing is served but what watches the engine. */
const starting = () =>
  new SluiceError('ServiceUnavailableException', 'The engine is starting: try again later.')

/** Whoever watches the engine must see it when it is busy as well. */
function isWatching({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.url === '/v1/health' || routeOptions.url === '/v1/metrics'
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

/** Adds routes when what was registered before stands: the API document describes all of them. */
function addLater(app: HttpApp, add: (routes: HttpApp) => void): void {
  app.register(async (routes) => add(routes.withTypeProvider<TypeBoxTypeProvider>()))
}

/** The path patterns of all routes that are added from here on. */
function collectPatterns(app: HttpApp): ReadonlySet<string> {
  const patterns = new Set<string>()
  app.addHook('onRoute', ({ url }) => void patterns.add(url))
  return patterns
}

/** Without this a known path with another method would be told apart from nothing at all. */
function refuseOtherMethods(app: HttpApp, patterns: ReadonlySet<string>): void {
  // The routes that are added here are no new patterns.
  for (const url of patterns) {
    const isTaken = (method: string) => app.hasRoute({ method, url })
    const allowed = knownMethods.filter(isTaken)
    const method = knownMethods.filter((name) => !isTaken(name)) as HTTPMethods[]
    const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
      reply.header('allow', allowed.join(', '))
      throw new SluiceError(
        'MethodNotAllowedException',
        `${request.method} is not a method of this path; it takes ${allowed.join(', ')}`,
      )
    }
    // Told to whoever is known: no policy speaks of it.
    app.route({ method, url, schema: { hide: true }, preValidation: refuse, handler: refuse })
  }
}
