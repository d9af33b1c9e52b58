import type { FastifySchema } from 'fastify'
import type { OpenAPIV3_1 } from 'openapi-types'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { errorCatalogue } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { errorTypeHeader, requestIdHeader, statusOf } from './http-answers.ts'
import { commonErrors } from './operation.ts'
import type { Operation, OperationAnswer } from './operation.ts'

/** One operation in the words of OpenAPI 3.1. */

type Described = Pick<
  OpenAPIV3_1.OperationObject,
  'operationId' | 'summary' | 'description' | 'requestBody' | 'responses'
>

/** The path of a route as OpenAPI writes it: `/topics/*` is `/topics/{topic}`. */
export function documentPathOf({ rest }: Operation, url: string): string {
  return url.replace('*', `:${rest?.name ?? 'rest'}`).replaceAll(/:(\w+)/g, '{$1}')
}

/** What the plugin makes parameters of. */
export function describeParameters(
  { rest, headers }: Operation,
  schema: FastifySchema | undefined,
  url: string,
): { readonly schema: FastifySchema; readonly url: string } {
  // A route may have none.
  const { params, querystring } = schema ?? {}
  const { name = 'rest', description = '' } = rest ?? {}
  const restParams = Type.Object({ [name]: Type.String({ description }) })
  const given = rest ? restParams : params
  return {
    schema: {
      ...(given === undefined ? {} : { params: given }),
      ...(querystring === undefined ? {} : { querystring }),
      ...(headers && { headers }),
    },
    url: url.replace('*', `:${name}`),
  }
}

/** @param path for the statuses, which differ between the sections of the API */
export function describeOperation(operation: Operation, path: string): Described {
  const { id, summary, description, body, answer, otherAnswers = {}, errors } = operation
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(body && {
      requestBody: {
        required: body.isOptional !== true,
        content: contentOf(body.type, body.schema),
      },
    }),
    responses: {
      200: successOf(answer),
      ...failuresOf([...errors, ...commonErrors], path),
      ...Object.fromEntries(
        Object.entries(otherAnswers).map(([status, other]) => [status, successOf(other)]),
      ),
    },
  }
}

const requestId = {
  [requestIdHeader]: { description: 'Of this request.', schema: { type: 'string' as const } },
}

function successOf({ description, schema, type }: OperationAnswer): OpenAPIV3_1.ResponseObject {
  return {
    description,
    headers: requestId,
    ...(schema && { content: contentOf(type, schema) }),
  }
}

function failuresOf(errors: readonly ErrorCode[], path: string) {
  const codes = new Map<number, Set<ErrorCode>>()
  for (const code of errors) {
    const status = statusOf(code, path)
    codes.set(status, (codes.get(status) ?? new Set()).add(code))
  }
  return Object.fromEntries(
    [...codes].map(([status, ofStatus]) => [status, failureOf([...ofStatus])]),
  )
}

const message = Type.Object({ message: Type.String() })
const existing = Type.Object({
  message: Type.String(),
  resourceId: Type.Optional(Type.String()),
  resourceArn: Type.Optional(Type.String()),
})

function failureOf(codes: readonly ErrorCode[]): OpenAPIV3_1.ResponseObject {
  const schema = codes.includes('ResourceAlreadyExistsException') ? existing : message
  return {
    description: codes
      .map((code) => `\`${code}\`: ${errorCatalogue[code].description}`)
      .join('\n\n'),
    headers: {
      ...requestId,
      [errorTypeHeader]: {
        description: 'The code.',
        schema: { type: 'string', enum: [...codes] },
      },
    },
    content: contentOf(undefined, schema),
  }
}

function contentOf(type = 'application/json', schema: TSchema) {
  return { [type]: { schema: toJsonSchema(schema) as OpenAPIV3_1.SchemaObject } }
}

/** Of a tuple, whose form changed in the JSON Schema of 2020-12; everything else is the same there. */
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
