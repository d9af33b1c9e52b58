import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'
import { ruleDeliverySchema } from '../../rules/delivery.ts'
import { replayRequestSchema } from './dead-letters.ts'
import { evaluateRequestSchema } from './evaluate.ts'
import { emptyAnswer, epochMs, nextTokenSchema } from '../server/operation.ts'
import type { Operations } from '../server/operation.ts'
import { healthReasons } from './status-routes.ts'

/** What AWS does not have, under `/v1`. */
const read: readonly ErrorCode[] = ['InvalidRequestException', 'InternalException']
const ofRule: readonly ErrorCode[] = [...read, 'ResourceNotFoundException']

const count = Type.Integer({ minimum: 0 })
const counts = (...names: readonly string[]) =>
  Type.Object(Object.fromEntries(names.map((name): [string, TSchema] => [name, count])))
const action = Type.Union([Type.Integer(), Type.Literal('errorAction')], {
  description: 'Its index, or `errorAction`.',
})
const destination = {
  region: Type.String(),
  streamName: Type.String(),
  streamArn: Type.Optional(Type.String()),
  endpoint: Type.Optional(Type.String()),
  credentials: Type.Unknown(),
  settings: Type.Unknown(),
}
const health = Type.Object({
  status: Type.Enum(['ok', 'starting', 'stopping', 'failing']),
  reasons: Type.Optional(
    Type.Array(Type.Enum([...healthReasons]), {
      description: 'What is not as it should be; absent when there is nothing.',
    }),
  ),
})

const evaluation = Type.Object({
  matched: Type.Boolean(),
  output: Type.Optional(Type.Unknown({ description: 'Of an outgoing payload that is JSON.' })),
  outputBase64: Type.Optional(Type.String({ description: 'The exact bytes an action would get.' })),
  actions: Type.Array(
    Type.Object({
      kinesis: Type.Optional(
        Type.Object({
          streamName: Type.String(),
          partitionKey: Type.String(),
          explicitHashKey: Type.Optional(Type.String()),
          hashKey: Type.String({ description: 'The predicted 128-bit hash, decimal.' }),
        }),
      ),
      republish: Type.Optional(Type.Object({ topic: Type.String(), qos: Type.Integer() })),
    }),
  ),
  templates: Type.Array(Type.Union([Type.String(), Type.Null()]), {
    description: 'Expanded, in the order given; null where one failed.',
  }),
  errors: Type.Array(
    Type.Object({ code: Type.String(), message: Type.String(), where: Type.String() }),
  ),
})

const deadLetter = Type.Object({
  id: Type.String(),
  ruleName: Type.String(),
  action,
  reason: Type.Object({ code: Type.String(), message: Type.String() }),
  attempts: count,
  firstMs: epochMs('The first failed call, in epoch milliseconds.'),
  lastMs: epochMs('The last failed call, in epoch milliseconds.'),
  acceptedAtMs: epochMs('Epoch milliseconds.'),
  destination: Type.Object(destination),
  partitionKey: Type.String(),
  explicitHashKey: Type.Optional(Type.String()),
  dataBase64: Type.String(),
  origin: Type.Object({
    messageId: Type.String(),
    topic: Type.String(),
    clientId: Type.Optional(Type.String()),
    traceId: Type.Optional(Type.String()),
    principal: Type.Optional(Type.String()),
    timestampMs: epochMs('When the message arrived, in epoch milliseconds.'),
    payloadBase64: Type.String(),
    republishDepth: Type.Optional(count),
  }),
})

const outbox = Type.Object({
  records: count,
  bytes: count,
  limits: counts('bytesMax', 'destinationBytesMax', 'destinationsMax', 'deadLetterBytesMax'),
  deadLetters: counts('records', 'bytes'),
  destinations: Type.Array(
    Type.Object({ ...destination, records: count, bytes: count, oldestAgeMs: count }),
  ),
})

const statistics = Type.Object({
  ruleName: Type.String(),
  evaluations: counts('matched', 'unmatched', 'failed'),
  actionFailures: Type.Record(Type.String(), count),
  actions: Type.Array(
    Type.Object({
      action,
      ...counts('accepted', 'delivered', 'queued', 'deadLettered', 'dropped', 'handedOver')
        .properties,
    }),
  ),
})

export const sluiceOperations: Operations = Object.freeze({
  'POST /v1/evaluate': {
    id: 'Evaluate',
    summary: 'Tries a rule on a message; nothing is sent.',
    body: { schema: evaluateRequestSchema },
    answer: { description: 'What the rule would do.', schema: evaluation },
    errors: ['SqlParseException', ...ofRule],
  },
  'GET /v1/health': {
    id: 'GetHealth',
    summary: 'Says whether broker, rule store and outbox are up; 503 when not. Open to all.',
    answer: { description: 'They are.', schema: health },
    otherAnswers: { 503: { description: 'They are not, or not any more.', schema: health } },
    errors: ['InternalException'],
  },
  'GET /v1/metrics': {
    id: 'GetMetrics',
    summary: 'Prometheus metrics; also for the bearer of `SLUICE_METRICS_TOKEN`.',
    answer: { description: 'Text format 0.0.4.', schema: Type.String(), type: 'text/plain' },
    errors: ['InternalException'],
  },
  'GET /v1/rules/:ruleName/delivery': {
    id: 'GetRuleDelivery',
    summary: "Reads the delivery settings of a rule's actions.",
    answer: { description: 'The settings that the rule has.', schema: ruleDeliverySchema },
    errors: ofRule,
  },
  'PUT /v1/rules/:ruleName/delivery': {
    id: 'PutRuleDelivery',
    summary: "Replaces the delivery settings of a rule's actions.",
    body: { schema: ruleDeliverySchema },
    answer: { description: 'The settings that hold now.', schema: ruleDeliverySchema },
    errors: [...ofRule, 'ConflictingResourceUpdateException'],
  },
  'GET /v1/rules/:ruleName/stats': {
    id: 'GetRuleStatistics',
    summary: 'Counts what became of the messages and records of a rule.',
    answer: { description: 'The counters.', schema: statistics },
    errors: ofRule,
  },
  'GET /v1/outbox': {
    id: 'GetOutbox',
    summary: 'Says what waits to be delivered, by destination.',
    answer: { description: 'Records, bytes and ages.', schema: outbox },
    errors: ['InternalException'],
  },
  'GET /v1/dead-letters': {
    id: 'ListDeadLetters',
    summary: 'Lists what could not be delivered.',
    answer: {
      description: 'A page; it may be short and yet not be the last.',
      schema: Type.Object({ deadLetters: Type.Array(deadLetter), nextToken: nextTokenSchema }),
    },
    errors: read,
  },
  'POST /v1/dead-letters/replay': {
    id: 'ReplayDeadLetters',
    summary: 'Sends dead letters again, in order.',
    body: { schema: replayRequestSchema },
    answer: {
      description: '`kept`: those that the rule, as it is now, makes nothing of.',
      schema: counts('replayed', 'kept'),
    },
    errors: read,
  },
  'DELETE /v1/dead-letters/:id': {
    id: 'DeleteDeadLetter',
    summary: 'Drops a dead letter.',
    answer: emptyAnswer,
    errors: ofRule,
  },
  'GET /v1/openapi.json': {
    id: 'GetApiDocument',
    summary: 'This document; `/v1/docs` is its page.',
    answer: { description: 'OpenAPI 3.1.', schema: Type.Object({}) },
    errors: ['InternalException'],
  },
} satisfies Operations)
