import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import {
  findStringFault,
  mqttHeaderLimits,
  readMqttHeaders,
} from '../../actions/action/mqtt-headers.ts'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Ingress } from '../../ingress/ingress.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { Message, Mqtt5Properties } from '../../message.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer, epochMs, nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import { restOfPath } from '../server/rest-of-path.ts'
import { durableInTime } from './durable-in-time.ts'
import { readUserProperties } from './user-properties.ts'

/** The AWS IoT data plane: publish over HTTP, read retained messages, end a connection. */
export interface DataPlaneDependencies {
  readonly broker: Pick<Ingress, 'publish' | 'retained' | 'listRetained' | 'disconnect'>
  readonly clock: Clock
  /** For response topics; the broker checks topics itself. By default AWS IoT's limits. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of a payload; by default AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
}

export interface DataPlaneOptions {
  /** The access key that signed the request, which `principal()` gives; undefined without one. */
  readonly principalOf: (request: FastifyRequest) => string | undefined
  /** The address of the client, which trusted proxies name. */
  readonly addressOf: (request: FastifyRequest) => string
}

const maxResultsDefault = 200

const publishQuery = Type.Object({
  qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 1 })),
  retain: Type.Optional(Type.Boolean()),
  contentType: Type.Optional(Type.String()),
  responseTopic: Type.Optional(Type.String()),
  messageExpiry: Type.Optional(
    Type.Integer({ minimum: 0, maximum: mqttHeaderLimits.messageExpirySecondsMax }),
  ),
})
const listQuery = Type.Object({
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
  nextToken: Type.Optional(Type.String()),
})
const connectionQuery = Type.Object({
  cleanSession: Type.Optional(Type.Boolean()),
  preventWillMessage: Type.Optional(Type.Boolean()),
})
const connectionParams = Type.Object({ clientId: Type.String({ minLength: 1 }) })

const mqtt5Headers = {
  payloadFormatIndicator: 'x-amz-mqtt5-payload-format-indicator',
  correlationData: 'x-amz-mqtt5-correlation-data',
  userProperties: 'x-amz-mqtt5-user-properties',
} as const

const errors: readonly ErrorCode[] = [
  'InvalidRequestException',
  'UnauthorizedException',
  'MethodNotAllowedException',
  'ThrottlingException',
  'InternalFailureException',
]
const topicInPath = {
  name: 'topic',
  description: 'The topic; `a/b` and `a%2Fb` are the same. Blanks and empty levels belong to it.',
}
const qosSchema = Type.Integer({ minimum: 0, maximum: 1 })
const lastModifiedTime = epochMs('Epoch milliseconds.')

const publish = {
  querystring: publishQuery,
  operation: {
    id: 'Publish',
    summary: 'Publishes a message: subscribers get it, and rules run on it.',
    description:
      'With QoS 1 the answer comes when every record that the message gave rise to is on disk.',
    rest: topicInPath,
    headers: Type.Object({
      [mqtt5Headers.userProperties]: Type.Optional(
        Type.String({ description: 'Base64 of a JSON array: `[{"name": "text"}]`.' }),
      ),
      [mqtt5Headers.payloadFormatIndicator]: Type.Optional(
        Type.Enum(['UNSPECIFIED_BYTES', 'UTF8_DATA']),
      ),
      [mqtt5Headers.correlationData]: Type.Optional(Type.String({ description: 'Base64.' })),
    }),
    body: {
      schema: Type.String({
        description: 'The payload, at most `SLUICE_MQTT_PAYLOAD_BYTES_MAX` bytes.',
      }),
      type: 'application/octet-stream',
      isOptional: true,
    },
    answer: {
      description: 'The message is published.',
      schema: Type.Object({ message: Type.String(), traceId: Type.String() }),
    },
    errors: [...errors, 'ServiceUnavailableException'],
  },
} satisfies FastifySchema

const getRetainedMessage = {
  operation: {
    id: 'GetRetainedMessage',
    summary: 'Reads the message that is retained for a topic.',
    rest: topicInPath,
    answer: {
      description: 'The message.',
      schema: Type.Object({
        topic: Type.String(),
        payload: Type.String({ description: 'Base64.' }),
        qos: qosSchema,
        lastModifiedTime,
        userProperties: Type.Optional(
          Type.String({ description: 'Base64 of a JSON array of objects with one member each.' }),
        ),
      }),
    },
    errors: [...errors, 'ResourceNotFoundException'],
  },
} satisfies FastifySchema

const listRetainedMessages = {
  querystring: listQuery,
  operation: {
    id: 'ListRetainedMessages',
    summary: 'Lists retained messages in the order of their topics.',
    answer: {
      description: 'A page of retained messages.',
      schema: Type.Object({
        retainedTopics: Type.Array(
          Type.Object({
            topic: Type.String(),
            payloadSize: Type.Integer({ description: 'Bytes.' }),
            qos: qosSchema,
            lastModifiedTime,
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors,
  },
} satisfies FastifySchema

const deleteConnection = {
  params: connectionParams,
  querystring: connectionQuery,
  operation: {
    id: 'DeleteConnection',
    summary: 'Ends the connection of an MQTT client.',
    answer: emptyAnswer,
    errors: [...errors, 'ResourceNotFoundException'],
  },
} satisfies FastifySchema

export function addDataPlaneRoutes(
  app: HttpApp,
  dependencies: DataPlaneDependencies,
  { principalOf, addressOf }: DataPlaneOptions,
): void {
  const { broker, clock, topicLimits, payloadBytesMax = payloadBytesMaxDefault } = dependencies
  // The body is the payload: what is too large is refused before it is read.
  const bodyLimit = payloadBytesMax
  app.post('/topics/*', { schema: publish, bodyLimit }, async (request) => {
    const { qos = 0, retain = false, ...properties } = request.query
    const mqtt5 = mqtt5Of({ ...properties, headers: request.headers }, topicLimits)
    const principal = principalOf(request)
    const message: Message = {
      topic: restOfPath(request.raw.url, '/topics/'),
      payload: Buffer.from(bodyBytes(request)),
      qos: qos === 1 ? 1 : 0,
      retain,
      transport: 'http',
      sourceIp: addressOf(request),
      principal,
      timestampMs: clock.wallMs(),
      mqtt5,
    }
    await durableInTime((from) => broker.publish(message, from), clock)
    return { message: 'OK', traceId: request.id }
  })

  app.get('/retainedMessage/*', { schema: getRetainedMessage }, async (request) => {
    const topic = restOfPath(request.raw.url, '/retainedMessage/')
    const retained = broker.retained(topic)
    if (!retained) throw notFound(`no message is retained for the topic ${topic}`)
    const { payload, qos, lastModifiedMs, carried } = retained
    const pairs = carried?.mqtt5.userProperties?.map(([key, value]) => ({ [key]: value }))
    return {
      topic,
      payload: payload.toString('base64'),
      qos,
      lastModifiedTime: lastModifiedMs,
      userProperties: pairs && Buffer.from(JSON.stringify(pairs)).toString('base64'),
    }
  })

  app.get('/retainedMessage', { schema: listRetainedMessages }, async (request) => {
    const { maxResults = maxResultsDefault, nextToken } = request.query
    const after = nextToken ? keyOfToken(nextToken) : undefined
    const found = broker.listRetained({ after, max: maxResults + 1 })
    const page = found.slice(0, maxResults)
    const last = page.at(-1)
    return {
      retainedTopics: page.map(({ topic, payload, qos, lastModifiedMs }) => {
        return { topic, payloadSize: payload.length, qos, lastModifiedTime: lastModifiedMs }
      }),
      nextToken: last && found.length > page.length ? tokenOfKey(last.topic) : undefined,
    }
  })

  app.delete('/connections/:clientId', { schema: deleteConnection }, async (request, reply) => {
    const { clientId } = request.params
    if (!(await broker.disconnect(clientId, request.query))) {
      throw notFound(`no client ${clientId} is connected`)
    }
    return reply.send()
  })
}

function mqtt5Of(
  given: {
    readonly contentType?: string
    readonly responseTopic?: string
    readonly messageExpiry?: number
    readonly headers: Readonly<Record<string, string | string[] | undefined>>
  },
  topicLimits: TopicLimits | undefined,
): Mqtt5Properties | undefined {
  const header = (name: keyof typeof mqtt5Headers) => given.headers[mqtt5Headers[name]]?.toString()
  for (const name of ['contentType', 'responseTopic'] as const) {
    const problem = findStringFault(given[name] ?? '')
    if (problem !== undefined) throw invalidRequest(`${name} ${problem}`)
  }
  const read = readMqttHeaders(
    {
      contentType: given.contentType,
      responseTopic: given.responseTopic,
      messageExpiry: given.messageExpiry?.toString(),
      payloadFormatIndicator: header('payloadFormatIndicator'),
      correlationData: header('correlationData'),
    },
    readUserProperties(header('userProperties'), mqtt5Headers.userProperties),
    topicLimits,
  )
  if ('problem' in read) {
    throw new SluiceError('InvalidRequestException', `${read.name}: ${read.problem}`)
  }
  return Object.keys(read.mqtt5).length === 0 ? undefined : read.mqtt5
}

function notFound(message: string): SluiceError {
  return new SluiceError('ResourceNotFoundException', message)
}
