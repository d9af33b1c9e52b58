import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { SluiceError, shorten } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { FunctionApi } from '../../event-source/functions/function-api.ts'
import type { EventSourceMappingApi } from '../../event-source/mapping-api.ts'
import { invalidParameter, validationError } from '../../event-source/validation-error.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer } from '../server/operation.ts'
import { jsonBody } from './json-body.ts'

/** The operations on tags of AWS Lambda. Only event source mappings can have tags here. */
interface LambdaTagDependencies {
  readonly eventSourceMappings: Pick<EventSourceMappingApi, 'tags' | 'setTags'>
  readonly lambdaFunctions: Pick<FunctionApi, 'checkExists'>
}

const path = '/2017-03-31/tags/:resource'
const params = Type.Object({ resource: Type.String({ minLength: 1, maxLength: 1_024 }) })
const tagsSchema = Type.Record(Type.String(), Type.String())
const tagRequestSchema = Type.Object({ Tags: tagsSchema })
const untagQuery = Type.Object({ tagKeys: Type.Array(Type.String()) })

const listErrors: readonly ErrorCode[] = [
  'ServiceException',
  'TooManyRequestsException',
  'ResourceNotFoundException',
  'ValidationException',
]
const errors: readonly ErrorCode[] = [...listErrors, 'InvalidParameterValueException']
const done = { ...emptyAnswer, status: 204 }

const listTags = {
  params,
  operation: {
    id: 'ListTags',
    summary: 'Lists the tags of an event source mapping.',
    answer: { description: 'All tags.', schema: Type.Object({ Tags: tagsSchema }) },
    errors: listErrors,
  },
} satisfies FastifySchema

const tagResource = {
  params,
  operation: {
    id: 'TagResource',
    documentId: 'LambdaTagResource',
    summary: 'Adds tags to an event source mapping, or gives them new values.',
    body: { schema: tagRequestSchema },
    answer: done,
    errors,
  },
} satisfies FastifySchema

const untagResource = {
  params,
  querystring: untagQuery,
  operation: {
    id: 'UntagResource',
    documentId: 'LambdaUntagResource',
    summary: 'Removes tags from an event source mapping.',
    answer: done,
    errors,
  },
} satisfies FastifySchema

export function addLambdaTagRoutes(
  app: HttpApp,
  { eventSourceMappings: mappings, lambdaFunctions: functions }: LambdaTagDependencies,
): void {
  app.get(path, { schema: listTags }, async (request) => {
    const { uuid, functionName } = resourceOf(request.params.resource)
    if (uuid !== undefined) return { Tags: mappings.tags(uuid) }
    // Clients read the tags of every function that they know.
    await functions.checkExists(functionName)
    return { Tags: {} }
  })

  app.post(path, { schema: tagResource }, async (request, reply) => {
    const uuid = mappingOf(request.params.resource)
    const body = jsonBody(request)
    const [error] = Value.Errors(tagRequestSchema, body)
    if (error) throw validationError(error, body)
    const { Tags } = body as { readonly Tags: Readonly<Record<string, string>> }
    await mappings.setTags(uuid, (present) => ({ ...present, ...Tags }))
    return reply.status(204).send()
  })

  app.delete(path, { schema: untagResource }, async (request, reply) => {
    const uuid = mappingOf(request.params.resource)
    const removed = new Set(request.query.tagKeys)
    await mappings.setTags(uuid, (present) =>
      Object.fromEntries(Object.entries(present).filter(([key]) => !removed.has(key))),
    )
    return reply.status(204).send()
  })
}

const arnForm =
  /^arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:(?:event-source-mapping:(?<uuid>[0-9a-fA-F-]{36})|function:.+)$/
const shownCharactersMax = 200

type Resource =
  | { readonly uuid: string; readonly functionName?: undefined }
  | { readonly uuid?: undefined; readonly functionName: string }

/** @throws SluiceError ValidationException */
function resourceOf(arn: string): Resource {
  const found = arnForm.exec(arn)
  if (!found) {
    throw new SluiceError(
      'ValidationException',
      `1 validation error detected: Value '${shorten(arn, shownCharactersMax)}' at 'resource' ` +
        'failed to satisfy constraint: Member must be the ARN of a mapping or a function',
    )
  }
  const uuid = found.groups?.['uuid']
  return uuid === undefined ? { functionName: arn } : { uuid }
}

/** @throws SluiceError ValidationException, InvalidParameterValueException: no mapping */
function mappingOf(arn: string): string {
  const { uuid } = resourceOf(arn)
  if (uuid !== undefined) return uuid
  throw invalidParameter('Functions are files here, and have no tags.')
}
