import type { FastifyRequest } from 'fastify'
import { invalidParameter } from '../../event-source/validation-error.ts'
import { bodyBytes } from '../server/body-bytes.ts'

/**
 * The body of a request, `{}` where there is none.
 * @throws SluiceError InvalidParameterValueException in Lambda's words: it is no object of JSON
 */
export function jsonBody(request: Pick<FastifyRequest, 'body'>): object {
  const text = Buffer.from(bodyBytes(request)).toString('utf8')
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // The error below is the answer.
  }
  throw invalidParameter('Could not parse request body into json.')
}
