import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { RouteOptions } from 'fastify'
import type { OpenAPIV3_1 } from 'openapi-types'
import { Type } from 'typebox'
import { version } from '../../base/version.ts'
import type { Api, Apis } from './api.ts'
import { describeOperation, describeParameters, documentPathOf } from './describe-operation.ts'
import { apiPageTheme } from './api-page.ts'
import type { HttpApp } from './http-app.ts'
import type { Operation, RoutedOperation } from './operation.ts'

/**
 * The OpenAPI document of all that is served, at `/v1/openapi.json`, and a page to read it, at
 * `/v1/docs`. Everything in it comes from the schemas of the routes: paths, parameters and queries
 * from what they validate with, the rest from the `operation` in the same schema.
 */
const documentPath = '/v1/openapi.json'
const pagePath = '/v1/docs'

type Document = Partial<OpenAPIV3_1.Document>

/** The page loads what this server has and nothing else, and no other page may frame it. */
const pagePolicy = Object.freeze({
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  // Swagger UI draws with inline styles.
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
})

interface ApiDocumentOptions {
  readonly apis: Apis
  /** Whether requests must be signed; the page then cannot send any. */
  readonly isSigned: boolean
}

/** Describes the routes that are added later, except those with `schema: {hide: true}`. */
export function addApiDocument(app: HttpApp, { apis, isSigned }: ApiDocumentOptions): void {
  const routes = collectOperations(app)
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version,
        description:
          "AWS IoT's contracts for rules and messages, and what Sluice adds to them. " +
          'Every answer has the header `x-amzn-RequestId`; ' +
          'errors have their code in `x-amzn-ErrorType`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: apis.all.map(({ name, description }) => ({ name, description })),
      components: {
        securitySchemes: {
          sigv4: {
            type: 'apiKey',
            in: 'header',
            name: 'Authorization',
            description: 'AWS Signature Version 4. Not needed with `SLUICE_AUTH=off`.',
          },
          metricsToken: { type: 'http', scheme: 'bearer' },
        },
      },
      security: [{ sigv4: [] }],
    },
    transform: ({ schema, url }) => {
      // A route may have no schema.
      const { operation, hide } = (schema as typeof schema | undefined) ?? {}
      if (!operation || hide === true) return { schema: { ...schema, hide: true }, url }
      return describeParameters(operation, schema, url)
    },
    transformObject: (given) =>
      'openapiObject' in given
        ? complete(given.openapiObject as Document, routes())
        : given.swaggerObject,
  })
  app.register(swaggerUi, {
    routePrefix: pagePath,
    staticCSP: pagePolicy,
    theme: apiPageTheme,
    uiConfig: { deepLinking: true, ...(isSigned && { supportedSubmitMethods: [] }) },
  })
}

const getApiDocument: Operation = {
  id: 'GetApiDocument',
  summary: 'Reads this document; `/v1/docs` is its page.',
  answer: { description: 'OpenAPI 3.1.', schema: Type.Object({}) },
  errors: ['InternalException'],
}

/** The route of the document that `addApiDocument` makes. */
export function addDocumentRoute(app: HttpApp): void {
  app.get(documentPath, { schema: { operation: getApiDocument } }, async () => app.swagger())
}

export interface ApiOperation extends RoutedOperation {
  readonly api: Api
}

/** @returns reads the operations of all routes that were added after this call */
export function collectOperations(app: HttpApp): () => readonly ApiOperation[] {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))
  return () =>
    routes.flatMap(({ method, url, schema, config }) => {
      const isDocumented = method !== 'HEAD' && schema?.hide !== true
      if (!isDocumented || !schema?.operation || !config?.api) return []
      return [{ method: String(method), url, operation: schema.operation, api: config.api }]
    })
}

/** Adds what the plugin has no place for: bodies that may be absent, and errors by their status. */
function complete(document: Document, routes: readonly ApiOperation[]): Document {
  const paths = { ...document.paths }
  for (const route of routes) {
    const path = documentPathOf(route)
    const verb = route.method.toLowerCase() as 'get'
    const described: OpenAPIV3_1.OperationObject = {
      ...(paths[path]?.[verb] as OpenAPIV3_1.OperationObject | undefined),
      ...describeOperation(route.operation, route.api),
      tags: [route.api.name],
    }
    paths[path] = { ...paths[path], [verb]: described } as OpenAPIV3_1.PathItemObject
  }
  return { ...document, paths }
}
