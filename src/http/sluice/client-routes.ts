import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { ConnectedClient } from '../../ingress/broker/listed-clients.ts'
import type { Ingress } from '../../ingress/ingress.ts'
import { parseSharedFilter } from '../../topics/shared-filter.ts'
import type { HttpApp } from '../server/http-app.ts'
import { epochMs, nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import { readErrors, ruleReadErrors } from './sluice-api.ts'

/** Connected clients. AWS IoT's own operations on one connection are separate. */
export interface ClientRouteDependencies {
  readonly broker: Pick<Ingress, 'listClients' | 'connectedClient' | 'subscriptions'>
}

const maxResultsDefault = 100

const shown = {
  clientId: Type.String(),
  protocolVersion: Type.Enum(['3.1', '3.1.1', '5']),
  transport: Type.Enum(['tcp', 'tls', 'websocket']),
  principal: Type.Optional(
    Type.String({ description: 'Certificate id, access key id or user; absent if anonymous.' }),
  ),
  sourceIp: Type.Optional(Type.String()),
  connectedSince: epochMs('Epoch milliseconds.'),
  keepAliveDuration: Type.Integer({ description: 'Seconds that are in force; 0 is none.' }),
  cleanStart: Type.Boolean({ description: 'Clean session of MQTT 3.1.1, clean start of MQTT 5.' }),
  subscriptionCount: Type.Integer({ minimum: 0 }),
  queued: Type.Integer({ description: 'Messages of QoS 1 and 2 that wait in its session.' }),
  inFlight: Type.Integer({
    description: 'Messages of QoS 1 and 2 that were sent to it and are not acknowledged.',
  }),
  messagesIn: Type.Integer({ description: 'PUBLISHes of the client since it connected.' }),
  messagesOut: Type.Integer({ description: 'PUBLISHes to the client since it connected.' }),
}

const listClients = {
  querystring: Type.Object(
    {
      prefix: Type.Optional(
        Type.String({ description: 'Only clients whose ids begin with it.', maxLength: 1_024 }),
      ),
      topic: Type.Optional(
        Type.String({
          description:
            'Only clients with a subscription that gets messages of this topic; of a topic filter, ' +
            'those that have subscribed to this very filter.',
          maxLength: 1_024,
        }),
      ),
      maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      nextToken: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  ),
  operation: {
    id: 'ListClients',
    summary: 'Lists the MQTT clients that are connected, in the order of their ids.',
    description:
      'With `topic`, a page may end before it is full. ' +
      'Counters begin with the connection: two reads give a rate.',
    answer: {
      description: 'A page of clients.',
      schema: Type.Object({
        clients: Type.Array(Type.Object(shown)),
        connectedCount: Type.Integer({ description: 'All that are connected.' }),
        nextToken: nextTokenSchema,
      }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

const getClient = {
  params: Type.Object({ clientId: Type.String({ minLength: 1 }) }),
  operation: {
    id: 'GetClient',
    summary: 'Shows one MQTT client that is connected, with its subscriptions.',
    description:
      '`GET /connections/{clientId}` also shows a client that has disconnected, ' +
      '`DELETE /connections/{clientId}` disconnects it.',
    answer: {
      description: 'The client.',
      schema: Type.Object({
        ...shown,
        sessionExpiry: Type.Integer({
          description: 'Seconds that its session waits for it when the connection is gone.',
        }),
        subscriptions: Type.Array(
          Type.Object({
            topicFilter: Type.String({ description: 'As the client gave it.' }),
            qos: Type.Integer({ minimum: 0 }),
            shareName: Type.Optional(
              Type.String({ description: 'The group of a shared subscription.' }),
            ),
          }),
        ),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

export function addClientRoutes(app: HttpApp, { broker }: ClientRouteDependencies): void {
  app.get('/v1/clients', { schema: listClients }, async (request) => {
    const { maxResults = maxResultsDefault, nextToken, prefix, topic } = request.query
    const after = nextToken ? keyOfToken(nextToken) : undefined
    const page = broker.listClients({ prefix, topic: topic || undefined, after, max: maxResults })
    const { clients, last, connectedCount } = page
    return {
      clients: clients.map(shownOf),
      connectedCount,
      nextToken: last === undefined ? undefined : tokenOfKey(last),
    }
  })

  app.get('/v1/clients/:clientId', { schema: getClient }, async (request) => {
    const { clientId } = request.params
    const client = broker.connectedClient(clientId)
    if (client === undefined) {
      throw new SluiceError('ResourceNotFoundException', `no client ${clientId} is connected`)
    }
    const subscriptions = broker.subscriptions(clientId) ?? []
    return {
      ...shownOf(client),
      sessionExpiry: client.sessionExpirySeconds,
      subscriptions: subscriptions.map(({ filter, qos }) => ({
        topicFilter: filter,
        qos,
        shareName: parseSharedFilter(filter)?.group,
      })),
    }
  })
}

const shownOf = (client: ConnectedClient) => ({
  clientId: client.clientId,
  protocolVersion: client.protocolVersion,
  transport: client.transport,
  principal: client.principal,
  sourceIp: client.sourceIp,
  connectedSince: client.connectedSinceMs,
  keepAliveDuration: client.keepAliveSeconds,
  cleanStart: client.isCleanStart,
  subscriptionCount: client.subscriptionCount,
  queued: client.queued,
  inFlight: client.inFlight,
  messagesIn: client.messagesIn,
  messagesOut: client.messagesOut,
})
