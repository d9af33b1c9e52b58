import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { InfluxdbConfiguration } from '../../aws/http/http-access.ts'
import { defined } from '../../base/defined.ts'
import { invalidRequest } from '../../base/errors.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { TopicRuleDestination } from '../../rules/destinations/shown-destination.ts'
import type { TopicRuleDestinations } from '../../rules/destinations/topic-rule-destinations.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer, nextTokenSchema } from '../server/operation.ts'
import { restOfPath } from '../server/rest-of-path.ts'
import { ruleErrors, ruleUpdateErrors } from './iot-control-plane.ts'

/** The operations on topic rule destinations of the AWS IoT control plane. */
export interface DestinationRouteDependencies {
  readonly destinations: Pick<
    TopicRuleDestinations,
    'create' | 'createInfluxdb' | 'get' | 'list' | 'update' | 'delete' | 'confirm'
  >
}

const maxResultsDefault = 1_000

const influxdbSchema = Type.Object({
  endpoint: Type.String({ maxLength: 2_000, description: 'Port 443, 8443, 8086 or 8181.' }),
  influxDBVersion: Type.Enum(['V2', 'V3']),
  secretId: Type.String({ minLength: 1, maxLength: 2_048 }),
  secretType: Type.Optional(Type.Enum(['SecretString', 'SecretBinary'])),
  secretKey: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
})
const createBody = Type.Object({
  destinationConfiguration: Type.Object({
    httpUrlConfiguration: Type.Optional(Type.Object({ confirmationUrl: Type.String() })),
    vpcConfiguration: Type.Optional(Type.Unknown({ description: 'Not supported.' })),
    influxDBConfiguration: Type.Optional(influxdbSchema),
  }),
})
const updateBody = Type.Object({
  arn: Type.String(),
  status: Type.String({ description: '`ENABLED`, `DISABLED` or `IN_PROGRESS`.' }),
})
const createRequest = Compile(createBody)
const updateRequest = Compile(updateBody)

const urlSchema = Type.Object({ confirmationUrl: Type.String() })
const common = {
  arn: Type.String({
    description:
      '`arn:aws:iot:<region>:<account>:ruledestination/http/<UUID>`, or `.../influxdb/<UUID>`',
  }),
  status: Type.String({ description: '`ENABLED`, `DISABLED`, `IN_PROGRESS` or `ERROR`.' }),
  createdAt: Type.Number({ description: 'Epoch seconds.' }),
  lastUpdatedAt: Type.Number({ description: 'Epoch seconds.' }),
  statusReason: Type.Optional(Type.String()),
}
const destinationAnswer = {
  description: 'The destination.',
  schema: Type.Object({
    topicRuleDestination: Type.Object({
      ...common,
      httpUrlProperties: Type.Optional(urlSchema),
      influxDBProperties: Type.Optional(influxdbSchema),
    }),
  }),
}
const arnOfPath = { name: 'arn', description: 'The ARN of the destination.' }

const createTopicRuleDestination = {
  operation: {
    id: 'CreateTopicRuleDestination',
    summary: 'Creates the destination of HTTP actions for a URL, or of influxDB actions.',
    description:
      'The confirmation URL gets a POST with a token. An InfluxDB is asked whether it takes the ' +
      'token of the secret: the status is ENABLED or ERROR. In the lab a destination is enabled at once.',
    body: { schema: createBody },
    answer: destinationAnswer,
    errors: [...ruleUpdateErrors, 'ResourceAlreadyExistsException'],
  },
} satisfies FastifySchema

const getTopicRuleDestination = {
  operation: {
    id: 'GetTopicRuleDestination',
    summary: 'Reads a destination.',
    description: 'One that does not exist is answered with UnauthorizedException, as on AWS.',
    rest: arnOfPath,
    answer: destinationAnswer,
    errors: ruleErrors,
  },
} satisfies FastifySchema

const listTopicRuleDestinations = {
  querystring: Type.Object({
    maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    nextToken: Type.Optional(Type.String()),
  }),
  operation: {
    id: 'ListTopicRuleDestinations',
    summary: 'Lists destinations.',
    answer: {
      description: 'A page of destinations.',
      schema: Type.Object({
        destinationSummaries: Type.Array(
          Type.Object({
            ...common,
            httpUrlSummary: Type.Optional(urlSchema),
            influxDBSummary: Type.Optional(influxdbSchema),
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: ruleErrors,
  },
} satisfies FastifySchema

const updateTopicRuleDestination = {
  operation: {
    id: 'UpdateTopicRuleDestination',
    summary: 'Enables or disables a destination, or asks for a new confirmation.',
    body: { schema: updateBody },
    answer: emptyAnswer,
    errors: ruleUpdateErrors,
  },
} satisfies FastifySchema

const deleteTopicRuleDestination = {
  operation: {
    id: 'DeleteTopicRuleDestination',
    summary: 'Deletes a destination; records of rules that need it then wait.',
    rest: arnOfPath,
    answer: emptyAnswer,
    errors: ruleUpdateErrors,
  },
} satisfies FastifySchema

const confirmTopicRuleDestination = {
  operation: {
    id: 'ConfirmTopicRuleDestination',
    summary: 'Confirms a destination and enables it.',
    description: 'The token is the permission, so that an endpoint can follow `enableUrl`.',
    rest: { name: 'confirmationToken', description: 'The token of the confirmation request.' },
    answer: emptyAnswer,
    errors: ruleUpdateErrors,
    access: 'unsigned',
  },
} satisfies FastifySchema

export function addDestinationRoutes(
  app: HttpApp,
  { destinations }: DestinationRouteDependencies,
): void {
  app.post('/destinations', { schema: createTopicRuleDestination }, async (request) => {
    const { confirmationUrl, influxdb } = configurationOf(bodyJson(request))
    const created =
      influxdb === undefined
        ? await destinations.create(confirmationUrl, baseOf(request))
        : await destinations.createInfluxdb(influxdb)
    return { topicRuleDestination: shown(created, propertyNames) }
  })

  app.get('/destinations/*', { schema: getTopicRuleDestination }, async (request) => {
    const arn = restOfPath(request.raw.url, '/destinations/')
    return { topicRuleDestination: shown(destinations.get(arn), propertyNames) }
  })

  app.get('/destinations', { schema: listTopicRuleDestinations }, async (request) => {
    const { maxResults = maxResultsDefault, nextToken } = request.query
    // An empty parameter counts as absent.
    const page = destinations.list({ maxResults, nextToken: nextToken || undefined })
    const destinationSummaries = page.destinations.map((each) => shown(each, summaryNames))
    return { destinationSummaries, nextToken: page.nextToken }
  })

  app.patch('/destinations', { schema: updateTopicRuleDestination }, async (request, reply) => {
    const body = bodyJson(request)
    if (!updateRequest.Check(body)) throw schemaProblem(updateRequest.Errors(body))
    await destinations.update(body.arn, body.status, baseOf(request))
    return reply.send()
  })

  app.delete('/destinations/*', { schema: deleteTopicRuleDestination }, async (request, reply) => {
    await destinations.delete(restOfPath(request.raw.url, '/destinations/'))
    return reply.send()
  })

  app.get(
    '/confirmdestination/*',
    { schema: confirmTopicRuleDestination },
    async (request, reply) => {
      await destinations.confirm(restOfPath(request.raw.url, '/confirmdestination/'))
      return reply.send()
    },
  )
}

/** The URL of this API as the caller knows it: endpoints are likely to reach it as well. */
const baseOf = ({ protocol, host }: FastifyRequest): string => `${protocol}://${host}`

type Configuration =
  | { readonly confirmationUrl: string; readonly influxdb?: undefined }
  | { readonly influxdb: InfluxdbConfiguration; readonly confirmationUrl?: undefined }

/** @throws SluiceError InvalidRequestException, naming the member */
function configurationOf(body: unknown): Configuration {
  if (!createRequest.Check(body)) throw schemaProblem(createRequest.Errors(body))
  const { destinationConfiguration: given } = body
  const { httpUrlConfiguration, influxDBConfiguration, vpcConfiguration } = given
  if (vpcConfiguration !== undefined) {
    throw invalidRequest('destinationConfiguration.vpcConfiguration is not supported')
  }
  if (httpUrlConfiguration !== undefined && influxDBConfiguration !== undefined) {
    throw invalidRequest(
      'destinationConfiguration has both httpUrlConfiguration and influxDBConfiguration',
    )
  }
  if (httpUrlConfiguration !== undefined) return httpUrlConfiguration
  if (influxDBConfiguration !== undefined) return { influxdb: configured(influxDBConfiguration) }
  throw invalidRequest(
    'destinationConfiguration has neither httpUrlConfiguration nor influxDBConfiguration',
  )
}

/** The members that the API has, and no others. */
function configured(given: Static<typeof influxdbSchema>): InfluxdbConfiguration {
  const { endpoint, influxDBVersion, secretId, secretType, secretKey } = given
  return defined({ endpoint, influxDBVersion, secretId, secretType, secretKey })
}

/** How a kind of destination is called in an answer. */
interface MemberNames {
  readonly http: 'httpUrlProperties' | 'httpUrlSummary'
  readonly influxdb: 'influxDBProperties' | 'influxDBSummary'
}

const propertyNames = { http: 'httpUrlProperties', influxdb: 'influxDBProperties' } as const
const summaryNames = { http: 'httpUrlSummary', influxdb: 'influxDBSummary' } as const

function shown(destination: TopicRuleDestination, names: MemberNames) {
  const { arn, status, statusReason, createdMs, updatedMs } = destination
  const shared = {
    arn,
    status,
    statusReason,
    createdAt: createdMs / 1_000,
    lastUpdatedAt: updatedMs / 1_000,
  }
  if ('influxdb' in destination) return { ...shared, [names.influxdb]: destination.influxdb }
  return { ...shared, [names.http]: { confirmationUrl: destination.confirmationUrl } }
}
