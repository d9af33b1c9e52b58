import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { SluiceError, errorCatalogue, invalidRequest } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { operationOf } from './api.ts'
import type { AnsweredError, Api, Apis } from './api.ts'
import { declaredCode } from './operation.ts'

/**
 * The form of every answer that is not a success, as AWS clients read it (AWS restJson1): the
 * status of the code, the code in `x-amzn-ErrorType`, and the body that the API gives its errors,
 * `{"message": ...}` in most of them.
 */
export const requestIdHeader = 'x-amzn-RequestId'
export const errorTypeHeader = 'x-amzn-ErrorType'

interface SendErrorDependencies {
  readonly apis: Apis
  readonly logger: Pick<Logger, 'error'>
}

/** Writes an error as the answer. The cause of a fault of the engine goes to the log instead. */
export function sendError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { apis, logger }: SendErrorDependencies,
): FastifyReply {
  const error = errorOf(thrown)
  const api = apis.of(request)
  const code = declaredCode(error.code, operationOf(request))
  const status = statusOf(code, api)
  const isFault = status >= 500
  if (isFault) {
    const { id: requestId, method } = request
    // A query may carry a signature.
    const [url] = request.url.split('?', 1)
    logger.error({ err: thrown, requestId, method, url }, `HTTP ${code}: ${error.message}`)
  }
  const message = publicMessage(error, request.id)
  const { retryAfterSeconds, ...details } = error.details
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  return reply
    .status(status)
    .header(requestIdHeader, request.id)
    .header(errorTypeHeader, code)
    .type('application/json')
    .send(JSON.stringify({ ...errorBody(api, { message, isFault }), ...details }))
}

function errorBody({ errorBody: bodyOf }: Api, error: AnsweredError) {
  return bodyOf?.(error) ?? { message: error.message }
}

/** @param waitMs how long the client should wait; `Retry-After` says it in whole seconds */
export function throttled(waitMs: number, message: string): SluiceError {
  const seconds = Math.ceil(waitMs / 1_000)
  return new SluiceError('ThrottlingException', `${message} Try again in ${seconds} s.`, {
    details: { retryAfterSeconds: seconds },
  })
}

/** An error written to the socket itself, when there is no request to answer. */
export function rawAnswer({ status, code, message }: SluiceError, requestId: string): string {
  const body = JSON.stringify({ message })
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? code}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `${requestIdHeader}: ${requestId}`,
    `${errorTypeHeader}: ${code}`,
    '',
    body,
  ].join('\r\n')
}

/** The HTTP status of a code, which an API may set for itself. */
export function statusOf(code: ErrorCode, { statuses = {} }: Api): number {
  return statuses[code] ?? errorCatalogue[code].status
}

/** A refusal by Fastify itself is the caller's fault; any other error without a code is ours. */
function errorOf(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const { statusCode, message } = thrown as Partial<FastifyError>
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return invalidRequest(message ?? 'the request is not valid')
  }
  return new SluiceError('InternalException', message ?? 'unknown', { cause: thrown })
}

function publicMessage(error: SluiceError, requestId: string): string {
  if (error.status < 500 || error.code === 'ServiceUnavailableException') return error.message
  return `an internal error; the log has its cause under request ${requestId}`
}
