import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'

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
] as const
type HealthReason = (typeof healthReasons)[number]

export interface StatusDependencies {
  readonly health: () => Health
  readonly metrics: Pick<Metrics, 'registry'>
}

const healthSchema = Type.Object({
  status: Type.Enum([...healthStatuses]),
  reasons: Type.Optional(
    Type.Array(Type.Enum([...healthReasons]), {
      description: 'What is not as it should be; absent when there is nothing.',
    }),
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

const getMetrics = {
  operation: {
    id: 'GetMetrics',
    summary: 'Prometheus metrics; also for the bearer of `SLUICE_METRICS_TOKEN`.',
    answer: { description: 'Text format 0.0.4.', schema: Type.String(), type: 'text/plain' },
    errors: ['InternalException'],
    access: 'metricsToken',
  },
} satisfies FastifySchema

/** For monitoring: `/v1/health` for load balancers, `/v1/metrics` for Prometheus. */
export function addStatusRoutes(app: HttpApp, { health, metrics }: StatusDependencies): void {
  app.get('/v1/health', { schema: getHealth }, async (_request, reply) => {
    const { status, reasons = [] } = health()
    return reply
      .status(status === 'ok' || status === 'degraded' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, reasons: reasons.length > 0 ? reasons : undefined })
  })

  app.get('/v1/metrics', { schema: getMetrics }, async (_request, reply) => {
    const { registry } = metrics
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}
