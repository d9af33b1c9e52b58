import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { Apis } from './api.ts'
import { sendError } from './http-answers.ts'

/** What routes are added to. */
export type HttpApp = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** No path takes any other method. */
export const knownMethods: readonly string[] = Object.freeze([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])
const bodyBytesMax = 131_072
const paramCharactersMax = 1_024

interface HttpAppDependencies {
  /** The APIs that are served, for the form of errors. */
  readonly apis: Apis
  readonly logger: Logger
}

/**
 * Fastify, as AWS clients need it:
 * - boto3 and the AWS CLI send bodies without a content-type, other clients with any: every body
 *   arrives as bytes (see read-bodies.ts), and the route reads them;
 * - every answer, also for a path without a route, has a request id, and errors have AWS's form;
 * - a rule name of more than 128 characters must reach its route, which refuses it with a reason.
 */
export function createHttpApp(
  dependencies: HttpAppDependencies,
  serverFactory: (handler: RequestListener) => Server,
): HttpApp {
  const app = fastify({
    logger: false,
    serverFactory,
    genReqId: () => randomUUID(),
    bodyLimit: bodyBytesMax,
    routerOptions: { maxParamLength: paramCharactersMax },
    // A server that drains still answers requests on open connections; its health is `stopping`.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply, dependencies)
    },
    // The server that the factory makes answers bytes that are no request.
    clientErrorHandler: () => undefined,
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.removeAllContentTypeParsers()
  app.setValidatorCompiler<TSchema>(({ schema }) => {
    const validator = Compile(schema)
    return (value: unknown) => {
      // Paths and queries are texts, so numbers and booleans are read from them.
      const converted = Value.Convert(schema, value)
      if (validator.Check(converted)) return { value: converted }
      return { error: schemaProblem(validator.Errors(converted)) }
    }
  })
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, dependencies))
  return app
}
