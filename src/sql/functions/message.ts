/** What a rule can ask about the message, its sender and itself. */
import { toIndex } from '../conversions.ts'
import { numberFromInteger } from '../numbers.ts'
import type { SqlFunction } from './function.ts'

export const messageFunctions: readonly SqlFunction[] = [
  {
    name: 'topic',
    sinceVersion: '2015-10-08',
    arity: [0, 1],
    implementation: (values, document) => {
      if (values.length === 0) return document.message.topic
      const level = toIndex(values[0])
      return level === undefined ? undefined : document.topicLevels()[level - 1]
    },
  },
  {
    name: 'timestamp',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => numberFromInteger(document.message.timestampMs),
  },
  {
    name: 'clientid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => document.message.clientId ?? 'n/a',
  },
  {
    name: 'principal',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => document.message.principal,
  },
  {
    name: 'sourceip',
    sinceVersion: '2016-03-23',
    arity: [0, 0],
    implementation: (_, document) => document.message.sourceIp,
  },
  {
    name: 'traceid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => document.message.traceId,
  },
  {
    name: 'accountid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => document.environment.accountId,
  },
  {
    name: 'sql_version',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_values, _document, dialect) => dialect.version,
  },
  {
    name: 'newuuid',
    sinceVersion: '2015-10-08',
    arity: [0, 0],
    implementation: (_, document) => document.environment.newUuid(),
  },
]
