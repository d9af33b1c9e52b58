import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { mqttHeaderLimits } from '../../actions/action/mqtt-headers.ts'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Ingress } from '../../ingress/ingress.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { Message } from '../../message.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { epochMs, nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import { restOfPath } from '../server/rest-of-path.ts'
import { durableInTime } from './durable-in-time.ts'
import {
  messageBody,
  propertyHeaders,
  propertyQuery,
  readMessageProperties,
} from './message-properties.ts'

/** The AWS IoT data plane: publish over HTTP, and read retained messages. */
export interface DataPlaneDependencies {
  readonly broker: Pick<Ingress, 'publish' | 'retained' | 'listRetained'>
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
  ...propertyQuery,
  messageExpiry: Type.Optional(
    Type.Integer({ minimum: 0, maximum: mqttHeaderLimits.messageExpirySecondsMax }),
  ),
})
const listQuery = Type.Object({
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
  nextToken: Type.Optional(Type.String()),
})
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
    headers: propertyHeaders,
    body: messageBody,
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
    const mqtt5 = readMessageProperties({ ...properties, headers: request.headers }, topicLimits)
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
    const pairs = carried?.mqtt5?.userProperties?.map(([key, value]) => ({ [key]: value }))
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
}

function notFound(message: string): SluiceError {
  return new SluiceError('ResourceNotFoundException', message)
}
