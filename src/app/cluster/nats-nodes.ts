import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import { createClientClaims } from '../../cluster/clients/client-claims.ts'
import { createNatsClaimBus } from '../../cluster/clients/nats-claim-bus.ts'
import { createNatsRelay } from '../../cluster/relay/nats-relay.ts'
import type { ClientClaims } from '../../ingress/relay/client-claims.ts'
import type { Relay } from '../../ingress/relay/relay.ts'
import { createRelayMetrics } from '../../telemetry/cluster-metrics.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'

/** The other nodes, for the broker. */
export interface OtherNodes {
  readonly relay: Relay
  readonly claims: ClientClaims
}

/**
 * Reaches the subscribers and the clients of other nodes.
 *
 * @returns makes it, once the metrics of the engine are there
 */
export function natsNodes(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  { connection }: Pick<Nats, 'connection'>,
  cluster: string,
): (metrics: Pick<Metrics, 'registry'>) => OtherNodes {
  const limitedLog = createLimitedLog({ logger, clock })
  const origin = randomUUID()
  return ({ registry }) => ({
    relay: createNatsRelay(
      { connection, limitedLog, metrics: createRelayMetrics(registry) },
      { cluster, origin },
    ),
    claims: createClientClaims({ bus: createNatsClaimBus(connection, cluster), clock }, origin),
  })
}
