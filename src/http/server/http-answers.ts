import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { SluiceError, errorCatalogue, invalidRequest } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/**
 * The form of every answer that is not a success, the one AWS clients read (AWS restJson1): the
 * status of the code, the code in `x-amzn-ErrorType`, `{"message": ...}` as the body.
 */
export const requestIdHeader = 'x-amzn-RequestId'
export const errorTypeHeader = 'x-amzn-ErrorType'

/** Writes an error as the answer; what is ours to keep goes to the log instead. */
export function sendError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Pick<Logger, 'error'>,
): FastifyReply {
  const error = named(errorOf(thrown, request), request)
  const status = statusOf(error.code, request.url)
  if (status >= 500) {
    const { id: requestId, method } = request
    // A query may carry a signature.
    const [url] = request.url.split('?', 1)
    logger.error({ err: thrown, requestId, method, url }, `HTTP ${error.code}: ${error.message}`)
  }
  const { retryAfterSeconds, ...details } = error.details
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  return reply
    .status(status)
    .header(requestIdHeader, request.id)
    .header(errorTypeHeader, error.code)
    .type('application/json')
    .send(JSON.stringify({ message: publicMessage(error, request.id), ...details }))
}

/** @param waitMs what is told in `Retry-After`, in whole seconds */
export function throttled(waitMs: number, message: string): SluiceError {
  const seconds = Math.ceil(waitMs / 1_000)
  return new SluiceError('ThrottlingException', `${message} Try again in ${seconds} s.`, {
    details: { retryAfterSeconds: seconds },
  })
}

/** The same for the socket itself, of which there is no request. */
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

/** The status of a code, which for one of them depends on the section of the API. */
export function statusOf(code: ErrorCode, path: string): number {
  const isThrottledPublish = code === 'ThrottlingException' && dataPlanePaths.test(path)
  return isThrottledPublish ? 429 : errorCatalogue[code].status
}

const dataPlanePaths = /^\/(?:topics|retainedMessage|connections)(?:[/?]|$)/
/** Tags, the endpoint and the data plane have another name for a fault of the engine. */
const internalFailurePaths = /^\/(?:tags|untag|endpoint|topics|retainedMessage|connections)\b/

function named(error: SluiceError, { url }: FastifyRequest): SluiceError {
  if (error.code !== 'InternalException' || !internalFailurePaths.test(url)) return error
  return new SluiceError('InternalFailureException', error.message, { cause: error.cause })
}

/** What Fastify itself refuses is the caller's fault; anything else that has no code is ours. */
function errorOf(thrown: unknown, request: FastifyRequest): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const { code, statusCode, message } = thrown as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = request.routeOptions.bodyLimit
    return invalidRequest(`the body is larger than the ${limit} bytes that are taken here`)
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return invalidRequest(message ?? 'the request is not valid')
  }
  return new SluiceError('InternalException', message ?? 'unknown', { cause: thrown })
}

function publicMessage(error: SluiceError, requestId: string): string {
  if (error.status < 500 || error.code === 'ServiceUnavailableException') return error.message
  return `an internal error; the log has its cause under request ${requestId}`
}
