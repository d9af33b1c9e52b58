/** Functions about the message, its sender and the rule itself. */
import { toIndex, toText } from '../values/conversions.ts'
import type { SqlMessage } from '../externals/document.ts'
import { numberFromInteger } from '../values/numbers.ts'
import type { Value } from '../values/values.ts'
import { memberSteps, objectSteps, spend } from '../values/work.ts'
import type { SqlFunction } from './function.ts'

type Properties = SqlMessage['mqtt5']

/** The PUBLISH properties of MQTT 5 by their names in the AWS IoT guide. */
const mqttProperties: ReadonlyMap<Value, (properties: Properties) => Value> = new Map([
  ['content_type', (properties: Properties) => properties?.contentType],
  ['response_topic', (properties: Properties) => properties?.responseTopic],
  ['correlation_data', (properties: Properties) => properties?.correlationData?.toString('base64')],
  [
    'format_indicator',
    (properties: Properties) =>
      properties?.payloadFormatIndicator === 1 ? 'UTF8_DATA' : 'UNSPECIFIED_BYTES',
  ],
])

export const messageFunctions: readonly SqlFunction[] = [
  {
    name: 'topic',
    sinceVersion: '2015-10-08',
    arity: [0, 1],
    implementation: (values, { document }) => {
      if (values.length === 0) return document.message.topic
      const level = toIndex(values[0])
      return level === undefined ? undefined : document.topicLevels()[level - 1]
    },
  },
  {
    name: 'timestamp',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) => numberFromInteger(document.message.timestampMs),
  },
  {
    name: 'clientid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) => document.message.clientId ?? 'n/a',
  },
  {
    name: 'principal',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) => document.message.principal,
  },
  {
    name: 'sourceip',
    sinceVersion: '2016-03-23',
    arity: [0, 0],
    implementation: (_, { document }) => document.message.sourceIp,
  },
  {
    name: 'traceid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) => document.message.traceId,
  },
  {
    name: 'accountid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, { document }) => document.environment.accountId,
  },
  {
    name: 'sql_version',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_values, _context, dialect) => dialect.version,
  },
  {
    name: 'newuuid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    steps: 30,
    implementation: (_, { document }) => document.environment.newUuid(),
    isRandom: true,
  },
  {
    name: 'get_mqtt_property',
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    implementation: ([name], { document }) => mqttProperties.get(name)?.(document.message.mqtt5),
  },
  {
    name: 'get_user_properties',
    sinceVersion: '2015-10-08',
    arity: [0, 1],
    implementation: (values, { document, state }, dialect) => {
      const pairs = document.message.mqtt5?.userProperties ?? []
      spend(state, pairs.length * (objectSteps + memberSteps))
      if (values.length === 0) return pairs.map((pair) => new Map([pair]))
      const key = toText(values[0], dialect, state)
      const found = pairs.flatMap(([name, value]) => (name === key ? [value] : []))
      return found.length === 0 ? undefined : found
    },
  },
]
