import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { invalidRequest } from '../../base/errors.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { Registry } from '../../registry/registry.ts'
import { describeThing, thingNamePattern } from '../../registry/thing-record.ts'
import { bodyBytes, bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'
import {
  emptyObject,
  foundErrors,
  pageOf,
  registryErrors,
  thingParams as params,
  tokenPage,
} from './registry-schemas.ts'

/** The operations on things of the AWS IoT control plane. */
export interface ThingRouteDependencies {
  readonly registry: Registry
  /** The ARN of a resource such as `thing/t`. */
  readonly resourceArnOf: (resource: string) => string
}

const thingTypeName = Type.Optional(Type.String({ pattern: thingNamePattern }))
const attributesSchema = Type.Record(Type.String(), Type.String())
const attributePayload = Type.Optional(
  Type.Object({
    attributes: Type.Optional(attributesSchema),
    merge: Type.Optional(Type.Boolean({ description: 'Whether attributes not given stay.' })),
  }),
)
const createBody = Type.Object({
  thingTypeName,
  attributePayload,
  billingGroupName: Type.Optional(Type.Unknown({ description: 'Not supported.' })),
})
const updateBody = Type.Object({
  thingTypeName,
  attributePayload,
  expectedVersion: Type.Optional(Type.Integer()),
  removeThingType: Type.Optional(Type.Boolean()),
})
const createRequest = Compile(createBody)
const updateRequest = Compile(updateBody)

const shown = {
  thingName: Type.String(),
  thingArn: Type.String({ description: '`arn:aws:iot:<region>:<account>:thing/<thingName>`' }),
  thingTypeName: Type.Optional(Type.String()),
  attributes: attributesSchema,
  version: Type.Integer(),
}

const createThing = {
  params,
  operation: {
    id: 'CreateThing',
    summary: 'Creates a thing; the same thing once more is no error.',
    description: 'A thing without a type has at most 3 attributes, one with a type 50.',
    body: { schema: createBody, isOptional: true },
    answer: {
      description: 'The thing.',
      schema: Type.Object({
        thingName: Type.String(),
        thingArn: Type.String(),
        thingId: Type.String(),
      }),
    },
    errors: [...registryErrors, 'ResourceAlreadyExistsException'],
  },
} satisfies FastifySchema

const describeThingSchema = {
  params,
  operation: {
    id: 'DescribeThing',
    summary: 'Reads a thing.',
    answer: {
      description: 'The thing.',
      schema: Type.Object({
        defaultClientId: Type.String(),
        thingId: Type.String(),
        ...shown,
      }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const updateThing = {
  params,
  operation: {
    id: 'UpdateThing',
    summary: 'Changes the type and the attributes of a thing.',
    description: 'An attribute with an empty value is removed.',
    body: { schema: updateBody, isOptional: true },
    answer: emptyObject,
    errors: [...foundErrors, 'VersionConflictException'],
  },
} satisfies FastifySchema

const deleteThing = {
  params,
  querystring: Type.Object({ expectedVersion: Type.Optional(Type.Integer()) }),
  operation: {
    id: 'DeleteThing',
    summary: 'Deletes a thing with no certificate; a thing that does not exist is no error.',
    answer: emptyObject,
    errors: [...registryErrors, 'VersionConflictException'],
  },
} satisfies FastifySchema

const listThings = {
  querystring: Type.Object({
    ...tokenPage,
    attributeName: Type.Optional(Type.String()),
    attributeValue: Type.Optional(Type.String()),
    thingTypeName: Type.Optional(Type.String()),
    usePrefixAttributeValue: Type.Optional(Type.Boolean()),
  }),
  operation: {
    id: 'ListThings',
    summary: 'Lists things in the order of their names.',
    answer: {
      description: 'A page of things.',
      schema: Type.Object({ things: Type.Array(Type.Object(shown)), nextToken: nextTokenSchema }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

export function addThingRoutes(
  app: HttpApp,
  { registry, resourceArnOf }: ThingRouteDependencies,
): void {
  app.post('/things/:thingName', { schema: createThing }, async (request) => {
    const body = bodyBytes(request).length === 0 ? {} : bodyJson(request)
    if (!createRequest.Check(body)) throw schemaProblem(createRequest.Errors(body))
    if (body.billingGroupName !== undefined) {
      throw invalidRequest('billingGroupName is not supported: there are no billing groups')
    }
    const { thingName, thingId } = await registry.things.create(request.params.thingName, {
      thingTypeName: body.thingTypeName,
      attributes: body.attributePayload?.attributes,
    })
    return { thingName, thingArn: resourceArnOf(`thing/${thingName}`), thingId }
  })

  app.get('/things/:thingName', { schema: describeThingSchema }, async (request) =>
    describeThing(registry.things.get(request.params.thingName), resourceArnOf),
  )

  app.patch('/things/:thingName', { schema: updateThing }, async (request) => {
    const body = bodyBytes(request).length === 0 ? {} : bodyJson(request)
    if (!updateRequest.Check(body)) throw schemaProblem(updateRequest.Errors(body))
    await registry.things.update(request.params.thingName, {
      thingTypeName: body.thingTypeName,
      attributes: body.attributePayload?.attributes,
      isMerged: body.attributePayload?.merge,
      removesType: body.removeThingType,
      expectedVersion: body.expectedVersion,
    })
    return {}
  })

  app.delete('/things/:thingName', { schema: deleteThing }, async (request) => {
    await registry.things.delete(request.params.thingName, request.query.expectedVersion)
    return {}
  })

  app.get('/things', { schema: listThings }, async (request) => {
    const { attributeName, attributeValue, thingTypeName: type, ...query } = request.query
    if (attributeValue !== undefined && attributeName === undefined) {
      throw invalidRequest('attributeValue is given without attributeName')
    }
    const page = registry.things.list({
      ...pageOf(query),
      attributeName,
      attributeValue,
      isPrefix: query.usePrefixAttributeValue,
      thingTypeName: type,
    })
    return {
      things: page.things.map((thing) => {
        const { defaultClientId: _, thingId: __, ...members } = describeThing(thing, resourceArnOf)
        return members
      }),
      nextToken: page.token,
    }
  })
}
