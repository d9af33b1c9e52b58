import type { FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../base/errors.ts'
import { parseAuthorization } from '../../sigv4/authorization.ts'
import type { Operation } from './operation.ts'

/**
 * One of the APIs that share the HTTP port. Each has its own signing name and its own form of
 * errors, so that the clients of each service read what they expect.
 */
export interface Api {
  /** The heading of its section in the documents. */
  readonly name: string
  readonly description: string
  /** The service in the credential scope of a signature. */
  readonly signingName: 'iot' | 'iotdata' | 'lambda'
  /** The HTTP statuses that differ from those of the catalogue of errors. */
  readonly statuses?: Readonly<Partial<Record<ErrorCode, number>>> | undefined
  /** The members of the body of an error; by default `{"message": ...}`. */
  readonly errorBody?: ((error: AnsweredError) => Readonly<Record<string, unknown>>) | undefined
}

export interface AnsweredError {
  readonly message: string
  /** Whether the engine is at fault, not the caller. */
  readonly isFault: boolean
}

declare module 'fastify' {
  interface FastifySchema {
    /** What the documents say about the route. A route without it is not documented. */
    readonly operation?: Operation | undefined
  }
  interface FastifyContextConfig {
    /** The API that the route belongs to. */
    api?: Api | undefined
  }
}

export interface Apis {
  readonly all: readonly Api[]
  /** The API that a request is for; for a path without a route, the API that signed it. */
  of(request: FastifyRequest): Api
}

/** @param defaultApi the API of paths that belong to no route, in a request that is not signed */
export function createApis(defaultApi: Api, others: readonly Api[]): Apis {
  const all = Object.freeze([defaultApi, ...others])
  return {
    all,
    of: ({ routeOptions, headers }) => {
      const { api } = routeOptions.config
      if (api) return api
      const parsed = parseAuthorization(headers)
      if ('reason' in parsed) return defaultApi
      return all.find(({ signingName }) => signingName === parsed.scope.service) ?? defaultApi
    },
  }
}

/** The description of the route that a request has come to. */
export function operationOf({ routeOptions }: FastifyRequest): Operation | undefined {
  // A path without a route has no schema.
  const schema: FastifyRequest['routeOptions']['schema'] | undefined = routeOptions.schema
  return schema?.operation
}
