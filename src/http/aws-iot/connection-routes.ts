import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Ingress } from '../../ingress/ingress.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer, epochMs, nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import {
  messageBody,
  propertyHeaders,
  propertyQuery,
  readMessageProperties,
} from './message-properties.ts'

/** The operations of AWS IoT's data plane on the connections of MQTT clients. */
export interface ConnectionRouteDependencies {
  readonly broker: Pick<Ingress, 'disconnect' | 'connection' | 'subscriptions' | 'sendDirect'>
  /** For response topics; the broker checks topics itself. By default AWS IoT's limits. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of a payload; by default AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
}

/** As AWS has it when the request does not say. */
const maxResultsDefault = 20
const confirmSecondsDefault = 5

const params = Type.Object({
  clientId: Type.String({ minLength: 1, description: 'It does not begin with `$`.' }),
})
const errors: readonly ErrorCode[] = [
  'InvalidRequestException',
  'MethodNotAllowedException',
  'ThrottlingException',
  'InternalFailureException',
  'ResourceNotFoundException',
]

const deleteConnection = {
  params,
  querystring: Type.Object({
    cleanSession: Type.Optional(Type.Boolean()),
    preventWillMessage: Type.Optional(Type.Boolean()),
  }),
  operation: {
    id: 'DeleteConnection',
    summary: 'Ends the connection of an MQTT client.',
    answer: emptyAnswer,
    errors: [...errors, 'UnauthorizedException'],
  },
} satisfies FastifySchema

const getConnection = {
  params,
  querystring: Type.Object({ includeSocketInformation: Type.Optional(Type.Boolean()) }),
  operation: {
    id: 'GetConnection',
    summary: 'Tells of the connection of an MQTT client, also for half an hour after its end.',
    answer: {
      description: 'The connection; the addresses only with `includeSocketInformation`.',
      schema: Type.Object({
        clientId: Type.String(),
        connected: Type.Boolean(),
        cleanSession: Type.Boolean(),
        sessionExpiry: Type.Integer({ description: 'Seconds.' }),
        keepAliveDuration: Type.Integer({ description: 'Seconds, as they are in force.' }),
        connectedSince: Type.Optional(epochMs('Epoch milliseconds.')),
        disconnectedSince: Type.Optional(epochMs('Epoch milliseconds.')),
        disconnectReason: Type.Optional(Type.String({ description: 'As in lifecycle events.' })),
        sourceIp: Type.Optional(Type.String()),
        sourcePort: Type.Optional(Type.Integer()),
        targetIp: Type.Optional(Type.String()),
        targetPort: Type.Optional(Type.Integer()),
      }),
    },
    errors,
  },
} satisfies FastifySchema

const listSubscriptions = {
  params,
  querystring: Type.Object({
    maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
    nextToken: Type.Optional(Type.String()),
  }),
  operation: {
    id: 'ListSubscriptions',
    summary: 'Lists the subscriptions of an MQTT client that is connected or has a session.',
    answer: {
      description: 'A page of subscriptions in the order of their filters.',
      schema: Type.Object({
        subscriptions: Type.Array(
          Type.Object({ topicFilter: Type.String(), qos: Type.Integer({ minimum: 0 }) }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors,
  },
} satisfies FastifySchema

const sendDirectMessage = {
  params,
  querystring: Type.Object({
    topic: Type.String({ minLength: 1 }),
    confirmation: Type.Optional(
      Type.Boolean({ description: 'Sends with QoS 1, and answers after PUBACK.' }),
    ),
    timeout: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 15, description: 'Seconds to wait for PUBACK: 5.' }),
    ),
    ...propertyQuery,
  }),
  operation: {
    id: 'SendDirectMessage',
    summary: 'Sends a message to one connected MQTT client, which need not be subscribed.',
    description:
      'No rule sees it, and it is not queued. The policies of the client must allow `iot:Receive`.',
    headers: propertyHeaders,
    body: messageBody,
    answer: {
      description: 'The message is sent or, with `confirmation`, acknowledged.',
      schema: Type.Object({ message: Type.String(), traceId: Type.String() }),
    },
    errors: [...errors, 'ForbiddenException', 'GatewayTimeoutException'],
  },
} satisfies FastifySchema

export function addConnectionRoutes(
  app: HttpApp,
  { broker, topicLimits, payloadBytesMax = payloadBytesMaxDefault }: ConnectionRouteDependencies,
): void {
  app.delete('/connections/:clientId', { schema: deleteConnection }, async (request, reply) => {
    const { clientId } = request.params
    if (!(await broker.disconnect(clientId, request.query))) throw notConnected(clientId)
    return reply.send()
  })

  app.get('/connections/:clientId', { schema: getConnection }, async (request) => {
    const { clientId } = checkedId(request.params)
    const state = broker.connection(clientId)
    if (state === undefined) throw notFound(`nothing is known of a client ${clientId}`)
    const { ended, connectedSinceMs, socket } = state
    return {
      clientId,
      connected: ended === undefined,
      cleanSession: state.isClean,
      sessionExpiry: state.sessionExpirySeconds,
      keepAliveDuration: state.keepAliveSeconds,
      connectedSince: ended === undefined ? connectedSinceMs : undefined,
      disconnectedSince: ended?.atMs,
      disconnectReason: ended?.reason,
      ...(request.query.includeSocketInformation === true ? socket : undefined),
    }
  })

  app.get(
    '/connections/:clientId/subscriptions',
    { schema: listSubscriptions },
    async (request) => {
      const { clientId } = checkedId(request.params)
      const { maxResults = maxResultsDefault, nextToken } = request.query
      const all = broker.subscriptions(clientId)
      if (all === undefined) throw notFound(`no client ${clientId} is connected or has a session`)
      const after = nextToken ? keyOfToken(nextToken) : undefined
      const left = after === undefined ? all : all.filter(({ filter }) => filter > after)
      const page = left.slice(0, maxResults)
      const last = page.at(-1)
      return {
        subscriptions: page.map(({ filter, qos }) => ({ topicFilter: filter, qos })),
        nextToken: last && left.length > page.length ? tokenOfKey(last.filter) : undefined,
      }
    },
  )

  // The body is the payload: what is too large is refused before it is read.
  const direct = { schema: sendDirectMessage, bodyLimit: payloadBytesMax }
  app.post('/connections/:clientId/messages', direct, async (request) => {
    const { clientId: receiver } = checkedId(request.params)
    const { topic, confirmation = false, timeout, ...properties } = request.query
    const mqtt5 = readMessageProperties({ ...properties, headers: request.headers }, topicLimits)
    const message = { receiver, topic, payload: Buffer.from(bodyBytes(request)), mqtt5 }
    const confirmMs = (timeout ?? confirmSecondsDefault) * 1_000
    const outcome = await broker.sendDirect(message, confirmation ? confirmMs : undefined)
    if (outcome === 'notConnected') throw notConnected(receiver)
    if (outcome === 'notAllowed') {
      const text = `no policy allows ${receiver} to receive on ${topic}`
      throw new SluiceError('ForbiddenException', text)
    }
    if (outcome === 'notConfirmed') {
      const text = `${receiver} has not acknowledged the message within ${confirmMs / 1_000} s`
      throw new SluiceError('GatewayTimeoutException', text)
    }
    return { message: 'OK', traceId: request.id }
  })
}

function checkedId(given: { readonly clientId: string }): { readonly clientId: string } {
  if (!given.clientId.startsWith('$')) return given
  throw new SluiceError('InvalidRequestException', 'A client id does not begin with $.')
}

const notConnected = (clientId: string) => notFound(`no client ${clientId} is connected`)

const notFound = (message: string) => new SluiceError('ResourceNotFoundException', message)
