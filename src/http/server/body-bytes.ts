import type { FastifyRequest } from 'fastify'
import { parseJson } from '../../rules/payload.ts'

/**
 * The body of a request as it came. Every content type arrives as bytes, because AWS's clients send
 * JSON under many names; a request without a body has none.
 */
export function bodyBytes({ body }: Pick<FastifyRequest, 'body'>): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array()
}

/** @throws SluiceError InvalidRequestException: the body is no JSON document in UTF-8 */
export function bodyJson(request: Pick<FastifyRequest, 'body'>): unknown {
  return parseJson(bodyBytes(request))
}
