import type { FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../base/errors.ts'
import { parseAuthorization } from '../../sigv4/authorization.ts'
import type { Operation } from './operation.ts'
import { createOperationFinder } from './operation-finder.ts'
import type { AwsOperations } from './operation-finder.ts'

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
  /** Further names that its clients sign with. */
  readonly otherSigningNames?: readonly string[] | undefined
  /**
   * All operations that AWS has in this API, served or not; absent for an API that is not AWS's.
   */
  readonly awsOperations?: AwsOperations | undefined
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
  /**
   * The API that a request is for. Without a route it is the API whose operation in AWS the request
   * asks for, else the API that its signature names, else the default.
   */
  of(request: FastifyRequest): Api
  /** The operation of AWS that a request asks for by its method and path. */
  operationAt(request: FastifyRequest): { operation: string; api: Api } | undefined
}

/** @param defaultApi the API of requests that belong to no other */
export function createApis(defaultApi: Api, others: readonly Api[]): Apis {
  const all = Object.freeze([defaultApi, ...others])
  const finders = all.map((api) => ({ api, find: createOperationFinder(api.awsOperations ?? {}) }))

  const operationAt: Apis['operationAt'] = ({ method, url }) => {
    for (const { api, find } of finders) {
      const operation = find(method, url)
      if (operation !== undefined) return { operation, api }
    }
    return undefined
  }
  const signerOf = ({ headers }: FastifyRequest): Api | undefined => {
    const parsed = parseAuthorization(headers)
    if ('reason' in parsed) return undefined
    return all.find(({ signingName }) => signingName === parsed.scope.service)
  }
  return {
    all,
    operationAt,
    of(request) {
      const { api } = request.routeOptions.config
      return api ?? operationAt(request)?.api ?? signerOf(request) ?? defaultApi
    },
  }
}

/** The description of the route that a request has come to. */
export function operationOf({ routeOptions }: FastifyRequest): Operation | undefined {
  // A path without a route has no schema.
  const schema: FastifyRequest['routeOptions']['schema'] | undefined = routeOptions.schema
  return schema?.operation
}
