import { randomUUID } from 'node:crypto'
import { fastify } from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { SluiceError, messageOf } from '../errors.ts'
import { guardOrigin } from '../origin-guard.ts'
import { schemaProblem } from '../rules/schema-problem.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { Logger, Metrics } from '../telemetry.ts'
import { guardApi } from './api-guard.ts'
import type { ApiAccess } from './api-guard.ts'
import { addDeadLetterRoutes } from './dead-letters.ts'
import type { DeadLetterRouteDependencies } from './dead-letters.ts'
import { addEvaluateRoute } from './evaluate.ts'
import type { EvaluateDependencies } from './evaluate.ts'
import { requestIdHeader, sendError, unreadableRequestAnswer } from './http-answers.ts'
import type { HttpApp } from './http-app.ts'
import { addDataPlaneRoutes } from './iot-data.ts'
import type { DataPlaneDependencies } from './iot-data.ts'
import { addEndpointRoute } from './iot-endpoint.ts'
import { addRuleRoutes } from './iot-rules.ts'
import type { RuleRouteDependencies } from './iot-rules.ts'
import { addTagRoutes } from './iot-tags.ts'
import type { TagDependencies } from './iot-tags.ts'
import { addOutboxRoutes } from './outbox-routes.ts'
import type { OutboxRouteDependencies } from './outbox-routes.ts'
import { addDeliveryRoutes } from './rule-delivery.ts'
import { addStatusRoutes } from './status-routes.ts'
import type { Health } from './status-routes.ts'

/**
 * The HTTP port: AWS IoT's control plane and data plane, and under /v1 what AWS does not have.
 *
 * AWS clients ask for a few things that Fastify does not do by itself:
 * - boto3 and the AWS CLI send bodies without a content-type, others with any: every body arrives
 *   as bytes, and the route reads them;
 * - every answer, also to what no route takes, carries a request id, and errors have AWS's form;
 * - a rule name of 128 characters must reach its route, to be refused there when it is longer.
 */
export interface HttpServer {
  /**
   * @returns the port, also when 0 was asked for
   * @throws SluiceError PortUnavailable (rejects)
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
    Pick<TagDependencies, 'ruleArnOf'>,
    Pick<RuleRouteDependencies, 'probeRoles'> {
  readonly rules: RuleStore
  readonly outbox: OutboxRouteDependencies['outbox'] & DeadLetterRouteDependencies['outbox']
  /** Absent: nothing is authenticated. */
  readonly access?: ApiAccess
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
}

const closeTimeoutMsDefault = 2_000
const bodyBytesMax = 131_072
const paramCharactersMax = 1_024
/** 50 tags of full length, URL-encoded, fit into the headers. */
const headerBytesMax = 65_536
const requestTimeoutMs = 30_000

export function createHttpServer(
  dependencies: HttpServerDependencies,
  options: HttpServerOptions,
): HttpServer {
  const { rules, logger, metrics, access, clock } = dependencies
  const app = createApp(logger)
  const patterns = collectPatterns(app)

  app.addHook('onRequest', async (request, reply) => {
    reply.header(requestIdHeader, request.id)
    // No page can sign: the guard of signatures needs no help of the browser.
    if (access) return
    const { host, origin } = request.headers
    guardOrigin({ host, origin }, options)
  })
  if (access) guardApi(app, access, clock)
  app.addHook('onResponse', async (request, reply) => {
    const pattern = request.routeOptions.url
    // A path that no route has is the caller's invention: it must not become a label.
    const route = pattern === undefined ? 'unknown' : `${request.method} ${pattern}`
    metrics.httpRequests.inc({ route, status: String(reply.statusCode) })
  })

  addRuleRoutes(app, dependencies)
  addTagRoutes(app, dependencies)
  addEndpointRoute(app)
  addDataPlaneRoutes(app, dependencies)
  addDeliveryRoutes(app, rules)
  addEvaluateRoute(app, dependencies)
  addOutboxRoutes(app, dependencies)
  addDeadLetterRoutes(app, dependencies)
  addStatusRoutes(app, dependencies)
  refuseOtherMethods(app, patterns)

  return {
    async listen() {
      const { host, port } = options
      try {
        await app.listen({ host, port })
      } catch (thrown) {
        throw new SluiceError(
          'PortUnavailable',
          `the HTTP API cannot listen on ${host}:${port}: ${messageOf(thrown)}`,
          { cause: thrown },
        )
      }
      const address = app.server.address()
      return typeof address === 'object' && address !== null ? address.port : port
    },
    async close() {
      // A client may send a body for ever, or not read its answer.
      const { closeTimeoutMs = closeTimeoutMsDefault } = options
      const cancel = clock.after(closeTimeoutMs, () => app.server.closeAllConnections())
      await app.close()
      cancel()
    },
  }
}

function createApp(logger: Logger): HttpApp {
  const app = fastify({
    logger: false,
    genReqId: () => randomUUID(),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    http: { maxHeaderSize: headerBytesMax },
    routerOptions: { maxParamLength: paramCharactersMax },
    // While it drains, requests on open connections are still answered; health says that it ends.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply, logger)
    },
    clientErrorHandler: (_error, socket) => {
      if (socket.writable) socket.end(unreadableRequestAnswer(randomUUID()))
      else socket.destroy()
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setValidatorCompiler<TSchema>(({ schema }) => {
    const validator = Compile(schema)
    return (value: unknown) => {
      // Paths and queries are texts: numbers and booleans are read from them.
      const converted = Value.Convert(schema, value)
      if (validator.Check(converted)) return { value: converted }
      return { error: schemaProblem(validator.Errors(converted)) }
    }
  })
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, logger))
  app.setNotFoundHandler((request) => {
    throw new SluiceError(
      'ResourceNotFoundException',
      `there is nothing at ${request.method} ${request.url}`,
    )
  })
  return app
}

type Patterns = ReadonlyMap<string, ReadonlySet<string>>

/** Path pattern -> the methods that it has, of all routes that are added from here on. */
function collectPatterns(app: HttpApp): Patterns {
  const patterns = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = patterns.get(url) ?? new Set<string>()
    for (const name of [method].flat()) methods.add(name)
    patterns.set(url, methods)
  })
  return patterns
}

const knownMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Without this a known path with another method would be told apart from nothing at all. */
function refuseOtherMethods(app: HttpApp, patterns: Patterns): void {
  for (const [url, present] of patterns) {
    const allowed = [...present]
    const method = knownMethods.filter((name) => !present.has(name))
    const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
      reply.header('allow', allowed.join(', '))
      throw new SluiceError(
        'MethodNotAllowedException',
        `${request.method} is not a method of this path; it takes ${allowed.join(', ')}`,
      )
    }
    // Told to whoever is known: no policy speaks of it.
    app.route({ method, url, preValidation: refuse, handler: refuse })
  }
}
