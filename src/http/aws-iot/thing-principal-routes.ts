import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { pageOfNames } from '../../registry/page-of-names.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'
import {
  certificateIn,
  emptyObject,
  foundErrors,
  pageOf,
  principalHeader,
  principalHeaderSchema,
  registryErrors,
  thingParams as params,
  thingPrincipalTypeSchema,
  tokenPage,
} from './registry-schemas.ts'
import type { ThingRouteDependencies } from './thing-routes.ts'

/** The operations on the certificates of things. */
const headers = principalHeaderSchema(principalHeader)
const typedPage = Type.Object({ ...tokenPage, thingPrincipalType: thingPrincipalTypeSchema })

const attachThingPrincipal = {
  params,
  querystring: Type.Object({ thingPrincipalType: thingPrincipalTypeSchema }),
  operation: {
    id: 'AttachThingPrincipal',
    summary: 'Attaches a certificate of the registry to a thing.',
    headers,
    answer: emptyObject,
    errors: foundErrors,
  },
} satisfies FastifySchema

const detachThingPrincipal = {
  params,
  operation: {
    id: 'DetachThingPrincipal',
    summary: 'Detaches a certificate from a thing; one that is not attached is no error.',
    headers,
    answer: emptyObject,
    errors: foundErrors,
  },
} satisfies FastifySchema

const listThingPrincipals = {
  params,
  querystring: Type.Object(tokenPage),
  operation: {
    id: 'ListThingPrincipals',
    summary: 'Lists the certificates of a thing.',
    answer: {
      description: 'A page of ARNs of certificates.',
      schema: Type.Object({ principals: Type.Array(Type.String()), nextToken: nextTokenSchema }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const listThingPrincipalsV2 = {
  params,
  querystring: typedPage,
  operation: {
    id: 'ListThingPrincipalsV2',
    summary: 'Lists the certificates of a thing, and how they are attached.',
    answer: {
      description: 'A page of certificates.',
      schema: Type.Object({
        thingPrincipalObjects: Type.Array(
          Type.Object({ principal: Type.String(), thingPrincipalType: thingPrincipalTypeSchema }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const listPrincipalThings = {
  querystring: Type.Object(tokenPage),
  operation: {
    id: 'ListPrincipalThings',
    summary: 'Lists the things of a certificate.',
    headers,
    answer: {
      description: 'A page of names of things.',
      schema: Type.Object({ things: Type.Array(Type.String()), nextToken: nextTokenSchema }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

const listPrincipalThingsV2 = {
  querystring: typedPage,
  operation: {
    id: 'ListPrincipalThingsV2',
    summary: 'Lists the things of a certificate, and how it is attached.',
    headers,
    answer: {
      description: 'A page of things.',
      schema: Type.Object({
        principalThingObjects: Type.Array(
          Type.Object({ thingName: Type.String(), thingPrincipalType: thingPrincipalTypeSchema }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

export function addThingPrincipalRoutes(
  app: HttpApp,
  { registry, resourceArnOf }: ThingRouteDependencies,
): void {
  const arnOf = (certificateId: string) => resourceArnOf(`cert/${certificateId}`)
  const principalsOf = (thingName: string) => registry.things.get(thingName).principals

  app.put('/things/:thingName/principals', { schema: attachThingPrincipal }, async (request) => {
    const { thingPrincipalType: type = 'NON_EXCLUSIVE_THING' } = request.query
    await registry.things.attach(
      request.params.thingName,
      certificateIn(request, principalHeader),
      type,
    )
    return {}
  })

  app.delete('/things/:thingName/principals', { schema: detachThingPrincipal }, async (request) => {
    await registry.things.detach(request.params.thingName, certificateIn(request, principalHeader))
    return {}
  })

  app.get('/things/:thingName/principals', { schema: listThingPrincipals }, async (request) => {
    const ids = Object.keys(principalsOf(request.params.thingName)).toSorted()
    const page = pageOfNames(ids, pageOf(request.query))
    return { principals: page.names.map(arnOf), nextToken: page.token }
  })

  app.get(
    '/things/:thingName/principals-v2',
    { schema: listThingPrincipalsV2 },
    async (request) => {
      const principals = principalsOf(request.params.thingName)
      const { thingPrincipalType: wanted } = request.query
      const ids = Object.keys(principals).toSorted()
      const page = pageOfNames(
        ids,
        pageOf(request.query),
        (id) => wanted === undefined || principals[id] === wanted,
      )
      return {
        thingPrincipalObjects: page.names.map((id) => {
          return { principal: arnOf(id), thingPrincipalType: principals[id] }
        }),
        nextToken: page.token,
      }
    },
  )

  app.get('/principals/things', { schema: listPrincipalThings }, async (request) => {
    const names = registry.things.thingsOf(certificateIn(request, principalHeader))
    const page = pageOfNames(names, pageOf(request.query))
    return { things: page.names, nextToken: page.token }
  })

  app.get('/principals/things-v2', { schema: listPrincipalThingsV2 }, async (request) => {
    const id = certificateIn(request, principalHeader)
    const typeOf = (thingName: string) => registry.things.find(thingName)?.principals[id]
    const { thingPrincipalType: wanted } = request.query
    const page = pageOfNames(
      registry.things.thingsOf(id),
      pageOf(request.query),
      (name) => wanted === undefined || typeOf(name) === wanted,
    )
    return {
      principalThingObjects: page.names.map((thingName) => {
        return { thingName, thingPrincipalType: typeOf(thingName) }
      }),
      nextToken: page.token,
    }
  })
}
