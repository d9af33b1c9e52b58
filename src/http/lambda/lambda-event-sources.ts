import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { EventSourceMappingApi } from '../../event-source/event-source-mappings.ts'
import { invalidParameter } from '../../event-source/mapping-request.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { errorTypeHeader, requestIdHeader } from '../server/http-answers.ts'
import type { HttpApp } from '../server/http-app.ts'

/**
 * The operations of AWS Lambda on event source mappings (API version 2015-03-31, restJson1). Errors
 * have Lambda's form, `{"Type": "User", "Message": "..."}`.
 */
export interface EventSourceRouteDependencies {
  readonly eventSourceMappings: EventSourceMappingApi
  readonly logger: Pick<Logger, 'error'>
}

const basePath = '/2015-03-31/event-source-mappings'
/** Some clients end the path with a slash. */
const collectionPaths = [basePath, `${basePath}/`]
const itemPath = `${basePath}/:uuid`

const params = Type.Object({ uuid: Type.String({ minLength: 1, maxLength: 64 }) })
const listQuery = Type.Object({
  EventSourceArn: Type.Optional(Type.String()),
  FunctionName: Type.Optional(Type.String()),
  Marker: Type.Optional(Type.String()),
  MaxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
})

export function addEventSourceRoutes(
  app: HttpApp,
  { eventSourceMappings: mappings, logger }: EventSourceRouteDependencies,
): void {
  const errorHandler = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    void sendLambdaError(thrown, request, reply, logger)
  }

  for (const url of collectionPaths) {
    // CreateEventSourceMapping
    app.post(url, { errorHandler }, async (request, reply) => {
      const configuration = await mappings.create(jsonOf(request.body))
      return reply.status(202).send(configuration)
    })

    // ListEventSourceMappings
    app.get(url, { schema: { querystring: listQuery }, errorHandler }, async (request) =>
      mappings.list(request.query),
    )
  }

  // GetEventSourceMapping
  app.get(itemPath, { schema: { params }, errorHandler }, async (request) =>
    mappings.get(request.params.uuid),
  )

  // UpdateEventSourceMapping
  app.put(itemPath, { schema: { params }, errorHandler }, async (request, reply) => {
    const configuration = await mappings.update(request.params.uuid, jsonOf(request.body))
    return reply.status(202).send(configuration)
  })

  // DeleteEventSourceMapping
  app.delete(itemPath, { schema: { params }, errorHandler }, async (request, reply) => {
    const configuration = await mappings.delete(request.params.uuid)
    return reply.status(202).send(configuration)
  })
}

/** @throws SluiceError InvalidParameterValueException */
function jsonOf(body: unknown): unknown {
  const text = body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : '{}'
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Told below.
  }
  throw invalidParameter('Could not parse request body into json.')
}

function sendLambdaError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Pick<Logger, 'error'>,
): FastifyReply {
  const { code, status, message } = lambdaErrorOf(thrown)
  const isOurs = status >= 500
  if (isOurs) logger.error({ err: thrown, requestId: request.id }, `HTTP ${code}: ${message}`)
  const Message = isOurs ? `an internal error; the log has its cause under ${request.id}` : message
  return reply
    .status(status)
    .header(requestIdHeader, request.id)
    .header(errorTypeHeader, code)
    .type('application/json')
    .send(JSON.stringify({ Type: isOurs ? 'Service' : 'User', Message, message: Message }))
}

function lambdaErrorOf(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) {
    if (thrown.code !== 'InvalidRequestException') return thrown
    return invalidParameter(thrown.message)
  }
  const { statusCode = 500 } = thrown as { readonly statusCode?: number }
  const { message } = thrown as Error
  return statusCode < 500
    ? invalidParameter(message)
    : new SluiceError('ServiceException', message, { cause: thrown })
}
