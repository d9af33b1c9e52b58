import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'

/**
 * `ok` when broker, rule store and outbox are up and everything that decides who may do what can be
 * read; else one word that says why they are not.
 */
export interface Health {
  readonly status: 'ok' | 'starting' | 'stopping' | 'failing'
  /** What is not as it should be, in words that may be told to all; absent when there is nothing. */
  readonly reasons?: readonly HealthReason[] | undefined
}

const healthReasons = [
  'accountUnknown',
  'policiesUnreadable',
  'passwordsUnreadable',
  'accessKeysUnreadable',
  'tlsUnreadable',
] as const
type HealthReason = (typeof healthReasons)[number]

export interface StatusDependencies {
  readonly health: () => Health
  readonly metrics: Pick<Metrics, 'registry'>
}

const healthSchema = Type.Object({
  status: Type.Enum(['ok', 'starting', 'stopping', 'failing']),
  reasons: Type.Optional(
    Type.Array(Type.Enum([...healthReasons]), {
      description: 'What is not as it should be; absent when there is nothing.',
    }),
  ),
})

const getHealth = {
  operation: {
    id: 'GetHealth',
    summary: 'Says whether broker, rule store and outbox are up; open to all.',
    answer: { description: 'They are up.', schema: healthSchema },
    otherAnswers: [{ status: 503, description: 'They are not up.', schema: healthSchema }],
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
      .status(status === 'ok' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, reasons: reasons.length > 0 ? reasons : undefined })
  })

  app.get('/v1/metrics', { schema: getMetrics }, async (_request, reply) => {
    const { registry } = metrics
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}
