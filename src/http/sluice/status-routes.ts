import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { schemaProblem } from '../../base/schema-problem.ts'
import { SluiceError } from '../../base/errors.ts'
import type { ClusterStatus } from '../../cluster/operators/cluster-status.ts'
import { variables } from '../../config/variables.ts'
import type { TimedLogLevel } from '../../telemetry/log-levels.ts'
import { processMetrics } from '../../telemetry/process-metrics.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { epochMs } from '../server/operation.ts'
import { countSchema } from './record-schemas.ts'
import { readErrors } from './sluice-api.ts'

/**
 * How the engine is:
 *
 *   ok         everything works
 *   degraded   something does not work, and the reasons name it; other clients are served
 *   starting, stopping   nothing is accepted yet, or any more
 */
export interface Health {
  readonly status: (typeof healthStatuses)[number]
  /** Why the status is not `ok`, in words that anyone may read; absent if there are no reasons. */
  readonly reasons?: readonly HealthReason[] | undefined
  /** What the engine waits for while it starts, for people. */
  readonly message?: string | undefined
}

const healthStatuses = ['ok', 'degraded', 'starting', 'stopping'] as const
const healthReasons = [
  'accountUnknown',
  'publishersStalled',
  'outboxFull',
  'outboxWritesFail',
  'policiesUnreadable',
  'passwordsUnreadable',
  'accessKeysUnreadable',
  'tlsUnreadable',
  'tlsExpired',
  'tlsDamaged',
  'rulesInvalid',
  'mappingsInvalid',
  'upstreamDisconnected',
  'upstreamFiltersRefused',
  'clusterUnreachable',
] as const
type HealthReason = (typeof healthReasons)[number]

export interface StatusDependencies {
  readonly health: () => Health
  readonly metrics: Pick<Metrics, 'registry'>
  readonly logLevel: Pick<TimedLogLevel, 'current' | 'set'>
  /** Undefined: the engine is no part of a cluster. */
  readonly clusterStatus?: (() => Promise<ClusterStatus>) | undefined
}

const healthSchema = Type.Object({
  status: Type.Enum([...healthStatuses]),
  reasons: Type.Optional(
    Type.Array(Type.Enum([...healthReasons]), {
      description: 'What is not as it should be; absent when there is nothing.',
    }),
  ),
  message: Type.Optional(
    Type.String({ description: 'What a node of a cluster waits for before it can start.' }),
  ),
})

const getHealth = {
  operation: {
    id: 'GetHealth',
    summary: 'Says whether messages can be accepted, and what does not work; open to all.',
    answer: { description: 'Something can be accepted.', schema: healthSchema },
    otherAnswers: [{ status: 503, description: 'Nothing can be accepted.', schema: healthSchema }],
    errors: ['InternalException'],
    access: 'anyone',
  },
} satisfies FastifySchema

const getLive = {
  operation: {
    id: 'GetLive',
    summary: 'Answers while the process runs, whatever its health; open to all.',
    answer: { description: 'It runs.', schema: Type.Object({ status: Type.Literal('live') }) },
    errors: [],
    access: 'anyone',
  },
} satisfies FastifySchema

const nodeSchema = Type.Object({
  node: Type.String({ description: 'Its name, another one after each start.' }),
  host: Type.Optional(Type.String()),
  release: Type.Optional(Type.String()),
  startedAtMs: Type.Optional(epochMs('By the clock of the node, in epoch milliseconds.')),
  silentMs: Type.Integer({ minimum: 0, description: 'Since it was last heard of.' }),
  lanesOwned: countSchema,
})

const laneSchema = Type.Object({
  lane: countSchema,
  owner: Type.Optional(Type.String({ description: 'Absent: no live node delivers it.' })),
  records: Type.Integer({ minimum: 0, description: 'That wait, as the owner has last told.' }),
  bytes: countSchema,
  silentMs: Type.Integer({ minimum: 0, description: 'Since its owner has last told of it.' }),
})

const logSchema = Type.Object({
  stream: Type.String(),
  leader: Type.Optional(Type.String({ description: 'The NATS server; absent: none leads.' })),
  followers: Type.Array(
    Type.Object({
      server: Type.String(),
      isOnline: Type.Boolean(),
      isCurrent: Type.Boolean(),
      lag: Type.Integer({ minimum: 0, description: 'Messages that it is behind.' }),
    }),
  ),
  replicas: countSchema,
  bytes: countSchema,
  bytesMax: Type.Integer(),
  connectedTo: Type.Object(
    { server: Type.String(), version: Type.String() },
    { description: 'The NATS server that this node is connected to.' },
  ),
})

const getCluster = {
  operation: {
    id: 'GetCluster',
    summary: 'Shows the nodes, the lanes and the log of a cluster, and what is wrong with them.',
    description:
      'Any node answers for all, as it has last heard. An engine that is no part of a cluster ' +
      'answers `ResourceNotFoundException`.',
    answer: {
      description: 'The cluster.',
      schema: Type.Object({
        cluster: Type.String(),
        node: Type.String({ description: 'The node that answers.' }),
        nodes: Type.Array(nodeSchema, { description: 'Those that live, by name.' }),
        lanes: Type.Array(laneSchema),
        log: Type.Optional(logSchema),
        problems: Type.Array(Type.String(), {
          description: 'What is wrong, one sentence each; empty when nothing is.',
        }),
      }),
    },
    errors: ['ResourceNotFoundException', 'InternalException'],
  },
} satisfies FastifySchema

const levelSchema = Type.Enum([...variables.SLUICE_LOG_LEVEL.choices])
const untilMsSchema = Type.Optional(
  epochMs('When the level of the configuration returns, in epoch milliseconds.'),
)

const getLogLevel = {
  operation: {
    id: 'GetLogLevel',
    summary: 'Reads the level of the log.',
    answer: {
      description: 'The level that holds now.',
      schema: Type.Object({ level: levelSchema, untilMs: untilMsSchema }),
    },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

/** A day. */
const forSecondsMax = 86_400
const logLevelRequestSchema = Type.Object(
  {
    level: levelSchema,
    forSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: forSecondsMax,
        description: 'How long it holds. Absent: until it is changed, or the process ends.',
      }),
    ),
  },
  { additionalProperties: false },
)
const logLevelRequest = Compile(logLevelRequestSchema)

const putLogLevel = {
  operation: {
    id: 'PutLogLevel',
    summary: 'Changes the level of the log while the engine runs.',
    body: { schema: logLevelRequestSchema },
    answer: {
      description: 'The level before, and the one that holds now.',
      schema: Type.Object({ before: levelSchema, level: levelSchema, untilMs: untilMsSchema }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

const getMetrics = {
  operation: {
    id: 'GetMetrics',
    summary: 'Prometheus metrics; also for the bearer of `SLUICE_METRICS_TOKEN`.',
    answer: { description: 'Text format 0.0.4.', schema: Type.String(), type: 'text/plain' },
    errors: ['InternalException'],
    access: 'metricsToken',
  },
} satisfies FastifySchema

/**
 * For monitoring: `/v1/health` for load balancers, `/v1/live` for supervisors that restart a hung
 * process, `/v1/cluster`, `/v1/metrics` for Prometheus, and the level of the log.
 */
export function addStatusRoutes(
  app: HttpApp,
  { health, metrics, logLevel, clusterStatus }: StatusDependencies,
): void {
  app.get('/v1/live', { schema: getLive }, async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'live' as const }),
  )

  app.get('/v1/cluster', { schema: getCluster }, async () => {
    if (clusterStatus === undefined) {
      throw new SluiceError(
        'ResourceNotFoundException',
        'this engine is no part of a cluster: SLUICE_NATS_URL makes it one',
      )
    }
    const { nodes, lanes, log, ...rest } = await clusterStatus()
    return {
      ...rest,
      nodes: nodes.map((node) => ({ ...node, silentMs: Math.round(node.silentMs) })),
      lanes: lanes.map((lane) => ({ ...lane, silentMs: Math.round(lane.silentMs) })),
      log: log && { ...log, followers: [...log.followers] },
      problems: [...rest.problems],
    }
  })

  app.get('/v1/log-level', { schema: getLogLevel }, async () => logLevel.current())

  app.put('/v1/log-level', { schema: putLogLevel }, async (request) => {
    const json = bodyJson(request)
    if (!logLevelRequest.Check(json)) throw schemaProblem(logLevelRequest.Errors(json))
    const { level, forSeconds } = json
    const forMs = forSeconds === undefined ? undefined : forSeconds * 1_000
    const before = logLevel.set(level, forMs)
    return { before, ...logLevel.current() }
  })

  app.get('/v1/health', { schema: getHealth }, async (_request, reply) => {
    const { status, reasons = [] } = health()
    return reply
      .status(status === 'ok' || status === 'degraded' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, reasons: reasons.length > 0 ? reasons : undefined })
  })

  app.get('/v1/metrics', { schema: getMetrics }, async (_request, reply) => {
    const { registry } = metrics
    const text = `${await registry.metrics()}\n${await processMetrics()}`
    return reply.type(registry.contentType).send(text)
  })
}
