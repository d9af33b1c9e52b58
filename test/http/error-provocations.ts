import {
  CreateTopicRuleCommand,
  DeleteTopicRuleCommand,
  DescribeEndpointCommand,
  DisableTopicRuleCommand,
  EnableTopicRuleCommand,
  GetTopicRuleCommand,
  ListTagsForResourceCommand,
  ListTopicRulesCommand,
  ReplaceTopicRuleCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-iot'
import type { TopicRulePayload } from '@aws-sdk/client-iot'
import {
  DeleteConnectionCommand,
  GetRetainedMessageCommand,
  ListRetainedMessagesCommand,
  PublishCommand,
} from '@aws-sdk/client-iot-data-plane'
import { Registry } from 'prom-client'
import type { HttpServerDependencies } from '../../src/http/http-server.ts'
import { SluiceError } from '../../src/base/errors.ts'
import { absentClients } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'
import { arn, topicRulePayload } from './guarded-server.ts'
import { connectionProvocations } from './connection-provocations.ts'
import { destinationProvocations } from './destination-provocations.ts'
import { labProvocations } from './lab-provocations.ts'
import { lambdaProvocations } from './lambda-provocations.ts'
import { fails, fault, http, reject, unwritten } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'
import { registryProvocations } from './registry-provocations.ts'
import { shadowProvocations } from './shadow-provocations.ts'

/** How to get each error that the schema of a route declares. */
const r = { ruleName: 'r' }
const absent = { ruleName: 'absent' }
const badName = { ruleName: 'a-b' }
const resourceArn = arn('rule/r')
const tagsOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ Key: `k${index}`, Value: '' }))
const unreadable: TopicRulePayload = { sql: 'SELEC', actions: [] }

const conflict = new SluiceError('ConflictingResourceUpdateException', 'others are waiting')
const busy = new SluiceError('ServiceUnavailableException', 'starting')

/** The store fails in all that a rule operation asks of it. */
const store = (error: Error) => {
  const rejects = reject(error)
  const throws = (): never => {
    throw error
  }
  return ({ rules }: HttpServerDependencies): Partial<HttpServerDependencies> => ({
    rules: {
      ...rules,
      create: rejects,
      replace: rejects,
      delete: rejects,
      setDisabled: rejects,
      setTags: rejects,
      setDelivery: rejects,
      get: throws,
      list: throws,
    },
  })
}
const unknownStore = ({ rules }: HttpServerDependencies) => ({ rules: { ...rules, byName: fails } })
const faultyBroker = () => ({
  broker: {
    publish: reject(fault),
    retained: fails,
    listRetained: fails,
    disconnect: reject(fault),
    connection: fails,
    subscriptions: fails,
    listClients: fails,
    connectedClient: fails,
    sendDirect: reject(fault),
  },
})
const faultyWatch = ({ watch }: HttpServerDependencies) => ({ watch: { ...watch, path: fails } })
/** Opens as many streams of events as there may be, and then one more. */
const openTooManyStreams: Call = async (server) => {
  for (let count = 0; count < 50; count++) await fetch(`${server.url}/v1/events`)
  return http('GET', '/v1/events')(server)
}
const faultyLogLevel = () => ({ logLevel: { current: fails, set: fails } })
const faultyRegistry = new Registry()
faultyRegistry.metrics = reject(fault)
const faultyOutbox = ({ outbox }: HttpServerDependencies) => ({
  outbox: {
    ...outbox,
    ledger: reject(fault),
    overview: reject(fault),
    deadLetters: {
      ...outbox.deadLetters,
      list: reject(fault),
      replay: reject(fault),
      delete: reject(fault),
    },
  },
})

/** What every operation on a rule has in common. */
const ruleErrors = (call: Call, invalid: Call) => ({
  InternalException: { call, dependencies: store(fault) },
  ServiceUnavailableException: { call, dependencies: store(busy) },
  InvalidRequestException: { call: invalid },
})
const ruleUpdateErrors = (call: Call, invalid: Call) => ({
  ...ruleErrors(call, invalid),
  ConflictingResourceUpdateException: { call, dependencies: store(conflict) },
})
const dataErrors = (call: Call, invalid: Call, otherMethod: Call) => ({
  InvalidRequestException: { call: invalid },
  MethodNotAllowedException: { call: otherMethod },
  ThrottlingException: { call, isThrottled: true as const },
  InternalFailureException: { call, dependencies: faultyBroker },
})

const create =
  (given: { ruleName: string }, payload: TopicRulePayload = topicRulePayload) =>
  ({ iot }: StartedServer) =>
    iot.send(new CreateTopicRuleCommand({ ...given, topicRulePayload: payload }))
const replace =
  (given: { ruleName: string }, payload: TopicRulePayload = topicRulePayload) =>
  ({ iot }: StartedServer) =>
    iot.send(new ReplaceTopicRuleCommand({ ...given, topicRulePayload: payload }))
const get =
  (given: { ruleName: string }) =>
  ({ iot }: StartedServer) =>
    iot.send(new GetTopicRuleCommand(given))
const remove =
  (given: { ruleName: string }) =>
  ({ iot }: StartedServer) =>
    iot.send(new DeleteTopicRuleCommand(given))
const enable =
  (given: { ruleName: string }) =>
  ({ iot }: StartedServer) =>
    iot.send(new EnableTopicRuleCommand(given))
const disable =
  (given: { ruleName: string }) =>
  ({ iot }: StartedServer) =>
    iot.send(new DisableTopicRuleCommand(given))
const list =
  (maxResults: number) =>
  ({ iot }: StartedServer) =>
    iot.send(new ListTopicRulesCommand({ maxResults }))
const tag =
  (of: string, count = 1) =>
  ({ iot }: StartedServer) =>
    iot.send(new TagResourceCommand({ resourceArn: of, tags: tagsOf(count) }))
const untag =
  (of: string) =>
  ({ iot }: StartedServer) =>
    iot.send(new UntagResourceCommand({ resourceArn: of, tagKeys: ['k'] }))
const listTags =
  (of: string) =>
  ({ iot }: StartedServer) =>
    iot.send(new ListTagsForResourceCommand({ resourceArn: of }))
const endpoint =
  (endpointType: string) =>
  ({ iot }: StartedServer) =>
    iot.send(new DescribeEndpointCommand({ endpointType }))
const publish =
  (topic: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new PublishCommand({ topic }))
const retained =
  (topic: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new GetRetainedMessageCommand({ topic }))
const listRetained =
  (maxResults: number) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new ListRetainedMessagesCommand({ maxResults }))
const disconnect = ({ iotData }: StartedServer) =>
  iotData.send(new DeleteConnectionCommand({ clientId: 'c' }))

export const provocations: Provocations = {
  CreateTopicRule: {
    ...ruleUpdateErrors(create(r), create(badName)),
    SqlParseException: { call: create(absent, unreadable) },
    ResourceAlreadyExistsException: { call: create(r) },
  },
  ReplaceTopicRule: {
    ...ruleUpdateErrors(replace(r), replace(badName)),
    SqlParseException: { call: replace(r, unreadable) },
    UnauthorizedException: { call: replace(absent) },
  },
  GetTopicRule: {
    ...ruleErrors(get(r), get(badName)),
    UnauthorizedException: { call: get(absent) },
  },
  ListTopicRules: ruleErrors(list(1), list(0)),
  DeleteTopicRule: ruleUpdateErrors(remove(r), remove(badName)),
  EnableTopicRule: {
    ...ruleUpdateErrors(enable(r), enable(badName)),
    UnauthorizedException: { call: enable(absent) },
  },
  DisableTopicRule: {
    ...ruleUpdateErrors(disable(r), disable(badName)),
    UnauthorizedException: { call: disable(absent) },
  },
  ...destinationProvocations,
  TagResource: {
    InvalidRequestException: { call: tag('no ARN') },
    InternalFailureException: { call: tag(resourceArn), dependencies: store(fault) },
    ResourceNotFoundException: { call: tag(arn('rule/absent')) },
    ThrottlingException: { call: tag(resourceArn), isThrottled: true },
    LimitExceededException: {
      call: async (server) => {
        await tag(resourceArn)(server)
        const other = Array.from({ length: 50 }, (_, index) => ({ Key: `o${index}`, Value: '' }))
        await server.iot.send(new TagResourceCommand({ resourceArn, tags: other }))
      },
    },
  },
  UntagResource: {
    InvalidRequestException: { call: untag('no ARN') },
    InternalFailureException: { call: untag(resourceArn), dependencies: store(fault) },
    ResourceNotFoundException: { call: untag(arn('rule/absent')) },
    ThrottlingException: { call: untag(resourceArn), isThrottled: true },
  },
  ListTagsForResource: {
    InvalidRequestException: { call: listTags('no ARN') },
    InternalFailureException: { call: listTags(resourceArn), dependencies: unknownStore },
    ResourceNotFoundException: { call: listTags(arn('rule/absent')) },
    ThrottlingException: { call: listTags(resourceArn), isThrottled: true },
  },
  DescribeEndpoint: {
    InvalidRequestException: { call: endpoint('iot:Jobs') },
    ThrottlingException: { call: endpoint('iot:Data-ATS'), isThrottled: true },
  },

  Publish: {
    ...dataErrors(
      publish('t'),
      ({ iotData }: StartedServer) =>
        iotData.send(new PublishCommand({ topic: 't', correlationData: '*' })),
      http('PUT', '/topics/t'),
    ),
    ServiceUnavailableException: { call: publish('t'), dependencies: () => unwritable },
  },
  GetRetainedMessage: {
    ...dataErrors(
      retained('t'),
      http('GET', '/retainedMessage/%zz'),
      http('POST', '/retainedMessage/t'),
    ),
    ResourceNotFoundException: { call: retained('t') },
  },
  ListRetainedMessages: dataErrors(
    listRetained(1),
    listRetained(0),
    http('PUT', '/retainedMessage'),
  ),
  DeleteConnection: {
    ...dataErrors(
      disconnect,
      http('DELETE', '/connections/c?cleanSession=perhaps'),
      http('PUT', '/connections/c'),
    ),
    ResourceNotFoundException: { call: disconnect },
  },
  ...connectionProvocations(dataErrors),
  ...registryProvocations,

  ...shadowProvocations,
  ...labProvocations,
  ...lambdaProvocations,

  CheckRule: {
    InvalidRequestException: { call: http('POST', '/v1/check', []) },
    InternalException: {
      call: http('POST', '/v1/check', { sql: 'SELECT 1', actions: [] }),
      dependencies: () => ({ compile: fails }),
    },
  },
  Evaluate: {
    SqlParseException: { call: evaluate({ topicRulePayload: unreadable }) },
    InvalidRequestException: { call: evaluate({}) },
    ResourceNotFoundException: { call: evaluate(absent) },
    InternalException: { call: evaluate(r), dependencies: unknownStore },
  },
  GetHealth: {
    InternalException: { call: http('GET', '/v1/health'), dependencies: () => ({ health: fails }) },
  },
  WatchMessages: {
    InvalidRequestException: { call: http('GET', '/v1/events?rule=a-b') },
    ServiceUnavailableException: { call: openTooManyStreams },
  },
  GetTrace: {
    InvalidRequestException: { call: http('GET', '/v1/trace') },
    ResourceNotFoundException: { call: http('GET', '/v1/trace?messageId=absent') },
    InternalException: { call: http('GET', '/v1/trace?messageId=m'), dependencies: faultyWatch },
  },
  GetMetrics: {
    InternalException: {
      call: http('GET', '/v1/metrics'),
      dependencies: ({ metrics }) => ({ metrics: { ...metrics, registry: faultyRegistry } }),
    },
  },
  GetRuleDelivery: {
    InvalidRequestException: { call: http('GET', '/v1/rules/a-b/delivery') },
    ResourceNotFoundException: { call: http('GET', '/v1/rules/absent/delivery') },
    InternalException: {
      call: http('GET', '/v1/rules/r/delivery'),
      dependencies: ({ rules }) => ({ rules: { ...rules, delivery: reject(fault) } }),
    },
  },
  PutRuleDelivery: {
    InvalidRequestException: { call: http('PUT', '/v1/rules/r/delivery', []) },
    InternalException: {
      call: http('PUT', '/v1/rules/r/delivery', {}),
      dependencies: store(fault),
    },
    ConflictingResourceUpdateException: {
      call: http('PUT', '/v1/rules/r/delivery', {}),
      dependencies: store(conflict),
    },
  },
  GetRuleStatistics: {
    InvalidRequestException: { call: http('GET', '/v1/rules/a-b/stats') },
    ResourceNotFoundException: { call: http('GET', '/v1/rules/absent/stats') },
    InternalException: { call: http('GET', '/v1/rules/r/stats'), dependencies: faultyOutbox },
  },
  ListRuleStatistics: {
    InvalidRequestException: { call: http('GET', '/v1/rules/stats?nextToken=x') },
    InternalException: { call: http('GET', '/v1/rules/stats'), dependencies: faultyOutbox },
  },
  GetLogLevel: {
    InternalException: { call: http('GET', '/v1/log-level'), dependencies: faultyLogLevel },
  },
  PutLogLevel: {
    InvalidRequestException: { call: http('PUT', '/v1/log-level', { level: 'loud' }) },
    InternalException: {
      call: http('PUT', '/v1/log-level', { level: 'debug' }),
      dependencies: faultyLogLevel,
    },
  },
  GetAsyncApiDocument: {
    InternalException: {
      call: http('GET', '/v1/asyncapi.json'),
      dependencies: () => ({ reachableAt: fails }),
    },
  },
  GetOutbox: {
    InternalException: { call: http('GET', '/v1/outbox'), dependencies: faultyOutbox },
  },
  ListLabCalls: {
    InvalidRequestException: { call: http('GET', '/v1/lab/calls?nextToken=x') },
    InternalException: {
      call: http('GET', '/v1/lab/calls'),
      dependencies: () => ({ labCalls: { list: fails } }),
    },
  },
  ListClients: {
    InvalidRequestException: { call: http('GET', '/v1/clients?maxResults=0') },
    InternalException: { call: http('GET', '/v1/clients'), dependencies: faultyBroker },
  },
  GetClient: {
    InvalidRequestException: { call: http('GET', '/v1/clients/') },
    ResourceNotFoundException: { call: http('GET', '/v1/clients/absent') },
    InternalException: { call: http('GET', '/v1/clients/c'), dependencies: faultyBroker },
  },
  ListDeadLetters: {
    InvalidRequestException: { call: http('GET', '/v1/dead-letters?maxResults=0') },
    InternalException: { call: http('GET', '/v1/dead-letters'), dependencies: faultyOutbox },
  },
  ReplayDeadLetters: {
    InvalidRequestException: { call: http('POST', '/v1/dead-letters/replay', { ids: 1 }) },
    InternalException: {
      call: http('POST', '/v1/dead-letters/replay', { how: 'asIs' }),
      dependencies: faultyOutbox,
    },
  },
  DeleteDeadLetter: {
    InvalidRequestException: { call: http('DELETE', '/v1/dead-letters/x') },
    ResourceNotFoundException: { call: http('DELETE', '/v1/dead-letters/1') },
    InternalException: { call: http('DELETE', '/v1/dead-letters/1'), dependencies: faultyOutbox },
  },
}

const unwritable = {
  broker: {
    publish: reject(unwritten),
    retained: () => undefined,
    listRetained: () => [],
    ...absentClients,
  },
}

function evaluate(given: object): Call {
  return http('POST', '/v1/evaluate', { ...given, message: { topic: 'a', payload: 1 } })
}
