import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { OpenAPIV3_1 } from 'openapi-types'
import { version } from '../base/version.ts'
import {
  describeOperation,
  describeParameters,
  documentPathOf,
} from './server/describe-operation.ts'
import type { HttpApp } from './server/http-app.ts'
import type { Operations } from './server/operation.ts'
import { dataPlaneOperations } from './aws-iot/operations-data.ts'
import { controlPlaneOperations } from './aws-iot/operations-iot.ts'
import { sluiceOperations } from './sluice/operations-sluice.ts'

/**
 * The OpenAPI document of all that is served, at `/v1/openapi.json`, and a page to read it, at
 * `/v1/docs`. Paths, methods, path parameters and queries are those of the routes themselves; bodies,
 * answers and errors are those of `operations`, from the schemas that the handlers validate with.
 */
const sections = Object.freeze([
  {
    name: 'AWS IoT control plane',
    description: 'Rules and their tags. Signed for the service `iot`.',
    operations: controlPlaneOperations,
  },
  {
    name: 'AWS IoT data plane',
    description: 'Publishing, retained messages, connections. Signed for the service `iotdata`.',
    operations: dataPlaneOperations,
  },
  {
    name: 'Sluice',
    description: 'What AWS does not have. Signed for the service `iot`.',
    operations: sluiceOperations,
  },
])

export const operations: Operations = Object.freeze({
  ...controlPlaneOperations,
  ...dataPlaneOperations,
  ...sluiceOperations,
})

export const documentPath = '/v1/openapi.json'
export const pagePath = '/v1/docs'

type Document = Partial<OpenAPIV3_1.Document>

/** Of those that are not signed, or not only. */
const security: Readonly<Record<string, OpenAPIV3_1.SecurityRequirementObject[]>> = Object.freeze({
  'GET /v1/health': [],
  'GET /v1/metrics': [{ sigv4: [] }, { metricsToken: [] }],
})

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

export interface ApiDocumentOptions {
  /** Whether requests must be signed; then a page cannot send any. */
  readonly isSigned: boolean
}

/** Describes the routes that are added later, but for those that say `schema: {hide: true}`. */
export function addApiDocument(app: HttpApp, { isSigned }: ApiDocumentOptions): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version,
        description:
          "AWS IoT's contracts for rules and messages, and what Sluice adds to them. " +
          'Every answer has the header `x-amzn-RequestId`; errors have the code in `x-amzn-ErrorType`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: sections.map(({ name, description }) => ({ name, description })),
      components: {
        securitySchemes: {
          sigv4: {
            type: 'apiKey',
            in: 'header',
            name: 'Authorization',
            description: 'AWS Signature Version 4. Not asked for with `SLUICE_AUTH=off`.',
          },
          metricsToken: { type: 'http', scheme: 'bearer' },
        },
      },
      security: [{ sigv4: [] }],
    },
    transform: ({ schema, url, route }) => {
      const operation = operations[`${[route.method].flat().join()} ${url}`]
      if (!operation) return { schema: { ...schema, hide: true }, url }
      return describeParameters(operation, schema, url)
    },
    transformObject: (given) =>
      'openapiObject' in given ? complete(given.openapiObject as Document) : given.swaggerObject,
  })
  app.register(swaggerUi, {
    routePrefix: pagePath,
    staticCSP: pagePolicy,
    theme: { title: 'Sluice: the HTTP API' },
    uiConfig: { deepLinking: true, ...(isSigned && { supportedSubmitMethods: [] }) },
  })
  app.register(async (routes) => {
    routes.get(documentPath, async () => routes.swagger())
  })
}

/** Adds what the plugin has no place for: bodies that may be absent, and errors by their status. */
function complete(document: Document): Document {
  const paths = { ...document.paths }
  for (const { name, operations: ofSection } of sections) {
    for (const [route, operation] of Object.entries(ofSection)) {
      const [method = '', url = ''] = route.split(' ')
      const path = documentPathOf(operation, url)
      const verb = method.toLowerCase() as 'get'
      const described: OpenAPIV3_1.OperationObject = {
        ...(paths[path]?.[verb] as OpenAPIV3_1.OperationObject | undefined),
        ...describeOperation(operation, path),
        tags: [name],
        ...(security[route] && { security: security[route] }),
      }
      paths[path] = { ...paths[path], [verb]: described } as OpenAPIV3_1.PathItemObject
    }
  }
  return { ...document, paths }
}
