import type { FastifySchema } from 'fastify'
import type { OpenAPIV3_1 } from 'openapi-types'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { defined } from '../../base/defined.ts'
import { errorCatalogue } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Api } from './api.ts'
import { errorTypeHeader, requestIdHeader, statusOf } from './http-answers.ts'
import { commonErrors, declaredCode } from './operation.ts'
import type { Operation, OperationAnswer, RoutedOperation } from './operation.ts'

/** One operation in the words of OpenAPI 3.1. */

type Described = Pick<
  OpenAPIV3_1.OperationObject,
  'operationId' | 'summary' | 'description' | 'requestBody' | 'responses' | 'security'
>

/** The path of a route as OpenAPI writes it: `/topics/*` is `/topics/{topic}`. */
export function documentPathOf({ operation: { rest }, url }: Omit<RoutedOperation, 'method'>) {
  return url.replace('*', `:${rest?.name ?? 'rest'}`).replaceAll(/:(\w+)/g, '{$1}')
}

/** The part of an operation that @fastify/swagger makes parameters of. */
export function describeParameters(
  { rest, headers }: Operation,
  { params, querystring }: FastifySchema,
  url: string,
): { readonly schema: FastifySchema; readonly url: string } {
  const { name = 'rest', description = '' } = rest ?? {}
  const restParams = Type.Object({ [name]: Type.String({ description }) })
  const given = rest ? restParams : params
  return {
    schema: defined({ params: given, querystring, headers }),
    url: url.replace('*', `:${name}`),
  }
}

/** @param api decides the statuses and the form of the errors */
export function describeOperation(operation: Operation, api: Api): Described {
  const {
    id,
    documentId = id,
    summary,
    description,
    body,
    answer,
    otherAnswers = [],
    access,
  } = operation
  return {
    operationId: documentId,
    summary,
    ...defined({
      description,
      requestBody: body && {
        required: body.isOptional !== true,
        content: contentOf(body.type, body.schema),
      },
      security: access && securityOf[access],
    }),
    responses: {
      ...failuresOf(operation, api),
      ...Object.fromEntries(
        [answer, ...otherAnswers].map((it) => [it.status ?? 200, successOf(it)]),
      ),
    },
  }
}

const securityOf = {
  anyone: [],
  unsigned: [{}, { sigv4: [] }],
  metricsToken: [{ sigv4: [] }, { metricsToken: [] }],
} satisfies Record<string, OpenAPIV3_1.SecurityRequirementObject[]>

const requestId = {
  [requestIdHeader]: {
    description: 'The id of this request.',
    schema: { type: 'string' as const },
  },
}

function successOf({ description, schema, type }: OperationAnswer): OpenAPIV3_1.ResponseObject {
  return defined({
    description,
    headers: requestId,
    content: schema && contentOf(type, schema),
  })
}

function failuresOf(operation: Operation, api: Api) {
  const common = commonErrors.map((code) => declaredCode(code, operation))
  const codes = new Map<number, Set<ErrorCode>>()
  for (const code of [...operation.errors, ...common]) {
    const status = statusOf(code, api)
    codes.set(status, (codes.get(status) ?? new Set()).add(code))
  }
  return Object.fromEntries(
    [...codes].map(([status, ofStatus]) => [status, failureOf([...ofStatus], api)]),
  )
}

const existing = {
  resourceId: Type.Optional(Type.String()),
  resourceArn: Type.Optional(Type.String()),
}

function failureOf(codes: readonly ErrorCode[], api: Api): OpenAPIV3_1.ResponseObject {
  const members = api.errorBody?.({ message: '', isFault: false }) ?? { message: '' }
  const schema = Type.Object({
    ...Object.fromEntries(Object.keys(members).map((name) => [name, Type.String()])),
    ...(codes.includes('ResourceAlreadyExistsException') ? existing : {}),
  })
  return {
    description: codes
      .map((code) => `\`${code}\`: ${errorCatalogue[code].description}`)
      .join('\n\n'),
    headers: {
      ...requestId,
      [errorTypeHeader]: {
        description: 'The code of the error.',
        schema: { type: 'string', enum: [...codes] },
      },
    },
    content: contentOf(undefined, schema),
  }
}

function contentOf(type = 'application/json', schema: TSchema) {
  return { [type]: { schema: toJsonSchema(schema) as OpenAPIV3_1.SchemaObject } }
}

/** A tuple is the only form that changed in the JSON Schema of 2020-12; the rest stays as it is. */
function toJsonSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(toJsonSchema)
  if (typeof schema !== 'object' || schema === null) return schema
  const { items, additionalItems: _, ...others } = schema as Readonly<Record<string, unknown>>
  const members = Object.entries(others).map(([name, value]) => [name, toJsonSchema(value)])
  const converted = Object.fromEntries(members) as Readonly<Record<string, unknown>>
  if (items === undefined) return converted
  if (!Array.isArray(items)) return { ...converted, items: toJsonSchema(items) }
  return { ...converted, prefixItems: toJsonSchema(items), items: false }
}
