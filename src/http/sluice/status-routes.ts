import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'

/**
 * `ok` when broker, rule store and outbox are up, and all that decides who may do what can be read; else
 * one word for why not.
 */
export interface Health {
  readonly status: 'ok' | 'starting' | 'stopping' | 'failing'
  /** What is not as it should be, in words that may be told to all; absent when there is nothing. */
  readonly reasons?: readonly HealthReason[] | undefined
}

export const healthReasons = [
  'accountUnknown',
  'policiesUnreadable',
  'passwordsUnreadable',
  'accessKeysUnreadable',
  'tlsUnreadable',
] as const
export type HealthReason = (typeof healthReasons)[number]

export interface StatusDependencies {
  readonly health: () => Health
  readonly metrics: Pick<Metrics, 'registry'>
}

/** What watches the engine: `/v1/health` for load balancers, `/v1/metrics` for Prometheus. */
export function addStatusRoutes(app: HttpApp, { health, metrics }: StatusDependencies): void {
  app.get('/v1/health', async (_request, reply) => {
    const { status, reasons = [] } = health()
    return reply
      .status(status === 'ok' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, ...(reasons.length > 0 && { reasons }) })
  })

  app.get('/v1/metrics', async (_request, reply) => {
    const { registry } = metrics
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}
