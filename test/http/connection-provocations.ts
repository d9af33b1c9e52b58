import {
  GetConnectionCommand,
  ListSubscriptionsCommand,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane'
import { absentClients } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'
import { fails, http } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'

const absentBroker = {
  publish: () => Promise.resolve(),
  retained: () => undefined,
  listRetained: () => [],
  ...absentClients,
}
const connectionOf =
  (clientId: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new GetConnectionCommand({ clientId }))
const subscriptionsOf =
  (clientId: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new ListSubscriptionsCommand({ clientId }))
const sendTo =
  (clientId: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new SendDirectMessageCommand({ clientId, topic: 't', confirmation: true }))
const brokerThatSays = (outcome: 'notAllowed' | 'notConfirmed') => () => ({
  broker: { ...absentBroker, sendDirect: () => Promise.resolve(outcome) },
})

/** How to get each error of the operations on connections. @param dataErrors those of all */
export const connectionProvocations = (
  dataErrors: (call: Call, invalid: Call, otherMethod: Call) => Provocations[string],
): Provocations => ({
  GetCluster: {
    ResourceNotFoundException: { call: http('GET', '/v1/cluster') },
    InternalException: {
      call: http('GET', '/v1/cluster'),
      dependencies: () => ({ clusterStatus: fails }),
    },
  },
  GetConnection: {
    ...dataErrors(connectionOf('c'), connectionOf('$c'), http('PUT', '/connections/c')),
    ResourceNotFoundException: { call: connectionOf('c') },
  },
  ListSubscriptions: {
    ...dataErrors(
      subscriptionsOf('c'),
      subscriptionsOf('$c'),
      http('PUT', '/connections/c/subscriptions'),
    ),
    ResourceNotFoundException: { call: subscriptionsOf('c') },
  },
  SendDirectMessage: {
    ...dataErrors(sendTo('c'), sendTo('$c'), http('PUT', '/connections/c/messages')),
    ResourceNotFoundException: { call: sendTo('c') },
    ForbiddenException: { call: sendTo('c'), dependencies: brokerThatSays('notAllowed') },
    GatewayTimeoutException: { call: sendTo('c'), dependencies: brokerThatSays('notConfirmed') },
  },
})
