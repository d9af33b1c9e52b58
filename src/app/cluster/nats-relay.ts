import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import { createNatsRelay } from '../../cluster/relay/nats-relay.ts'
import type { Relay } from '../../ingress/relay/relay.ts'
import { createRelayMetrics } from '../../telemetry/cluster-metrics.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'

/**
 * What hands messages to the subscribers of other nodes.
 *
 * @returns makes it, once the metrics of the engine are there
 */
export function natsRelay(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  { connection }: Pick<Nats, 'connection'>,
  cluster: string,
): (metrics: Pick<Metrics, 'registry'>) => Relay {
  const limitedLog = createLimitedLog({ logger, clock })
  return ({ registry }) =>
    createNatsRelay(
      { connection, limitedLog, metrics: createRelayMetrics(registry) },
      { cluster, origin: randomUUID() },
    )
}
