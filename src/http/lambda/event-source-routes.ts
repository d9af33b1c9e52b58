import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'
import type { EventSourceMappingApi } from '../../event-source/mapping-api.ts'
import {
  changeableMembers,
  createRequestSchema,
  updateRequestSchema,
} from '../../event-source/mapping-request.ts'
import type { HttpApp } from '../server/http-app.ts'
import type { OperationAnswer } from '../server/operation.ts'
import { jsonBody } from './json-body.ts'

/** The operations of AWS Lambda on event source mappings. */
export interface EventSourceRouteDependencies {
  readonly eventSourceMappings: EventSourceMappingApi
}

const collectionPath = '/2015-03-31/event-source-mappings'
const itemPath = `${collectionPath}/:uuid`

const params = Type.Object({ uuid: Type.String({ minLength: 1, maxLength: 64 }) })
const listQuery = Type.Object({
  EventSourceArn: Type.Optional(Type.String()),
  FunctionName: Type.Optional(Type.String()),
  Marker: Type.Optional(Type.String()),
  MaxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
})

/** Lambda API Reference, EventSourceMappingConfiguration. */
const configurationSchema = Type.Object({
  UUID: Type.String(),
  ...changeableMembers,
  FunctionArn: Type.String(),
  EventSourceArn: Type.String(),
  EventSourceMappingArn: Type.String(),
  StartingPosition: Type.String(),
  StartingPositionTimestamp: Type.Optional(Type.Number({ description: 'Epoch seconds.' })),
  LastModified: Type.Number({ description: 'Epoch seconds.' }),
  LastProcessingResult: Type.String(),
  State: Type.String(),
  StateTransitionReason: Type.String(),
})
const accepted = (description: string): OperationAnswer => ({
  status: 202,
  description,
  schema: configurationSchema,
})

const errors: readonly ErrorCode[] = [
  'InvalidParameterValueException',
  'ServiceException',
  'TooManyRequestsException',
]
const itemErrors: readonly ErrorCode[] = [...errors, 'ResourceNotFoundException']

const createEventSourceMapping = {
  operation: {
    id: 'CreateEventSourceMapping',
    summary: 'Creates a mapping, which reads a stream and invokes a function.',
    body: { schema: createRequestSchema },
    answer: accepted('The new mapping; it starts soon.'),
    errors: [...itemErrors, 'ValidationException', 'ResourceConflictException'],
  },
} satisfies FastifySchema

const listEventSourceMappings = {
  querystring: listQuery,
  operation: {
    id: 'ListEventSourceMappings',
    summary: 'Lists mappings, of a stream or a function if given.',
    answer: {
      description: 'A page of mappings.',
      schema: Type.Object({
        EventSourceMappings: Type.Array(configurationSchema),
        NextMarker: Type.Optional(Type.String()),
      }),
    },
    errors,
  },
} satisfies FastifySchema

const getEventSourceMapping = {
  params,
  operation: {
    id: 'GetEventSourceMapping',
    summary: 'Reads a mapping and its state.',
    answer: { description: 'The mapping.', schema: configurationSchema },
    errors: itemErrors,
  },
} satisfies FastifySchema

const updateEventSourceMapping = {
  params,
  operation: {
    id: 'UpdateEventSourceMapping',
    summary: 'Changes the settings of a mapping, or enables or disables it.',
    body: { schema: updateRequestSchema },
    answer: accepted('The mapping as it will be.'),
    errors: [
      ...itemErrors,
      'ValidationException',
      'ResourceConflictException',
      'ResourceInUseException',
    ],
  },
} satisfies FastifySchema

const deleteEventSourceMapping = {
  params,
  operation: {
    id: 'DeleteEventSourceMapping',
    summary: 'Deletes a mapping.',
    answer: accepted('The mapping, which is gone soon.'),
    errors: [...itemErrors, 'ResourceInUseException'],
  },
} satisfies FastifySchema

export function addEventSourceRoutes(
  app: HttpApp,
  { eventSourceMappings: mappings }: EventSourceRouteDependencies,
): void {
  // Some clients end the path with a slash; the documents show one of the two.
  for (const [url, hide] of [
    [collectionPath, false],
    [`${collectionPath}/`, true],
  ] as const) {
    app.post(url, { schema: { ...createEventSourceMapping, hide } }, async (request, reply) => {
      const configuration = await mappings.create(jsonBody(request))
      return reply.status(202).send(configuration)
    })
    app.get(url, { schema: { ...listEventSourceMappings, hide } }, async (request) =>
      mappings.list(request.query),
    )
  }

  app.get(itemPath, { schema: getEventSourceMapping }, async (request) =>
    mappings.get(request.params.uuid),
  )

  app.put(itemPath, { schema: updateEventSourceMapping }, async (request, reply) => {
    const configuration = await mappings.update(request.params.uuid, jsonBody(request))
    return reply.status(202).send(configuration)
  })

  app.delete(itemPath, { schema: deleteEventSourceMapping }, async (request, reply) => {
    const configuration = await mappings.delete(request.params.uuid)
    return reply.status(202).send(configuration)
  })
}
