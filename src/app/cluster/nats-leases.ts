import type { Clock } from '../../base/clock.ts'
import { openBucket } from '../../cluster/nats/open-bucket.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import { createNatsState } from '../../cluster/state/nats-state.ts'
import type { SharedState } from '../../cluster/state/shared-state.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/** It changes with each checkpoint of a shard. */
const settings = Object.freeze({ name: 'MAPPINGS', history: 1, bytesMax: 268_435_456 })

/**
 * The bucket of the leases of a cluster's event source mappings. This module loads the client of
 * NATS.
 *
 * @param options.region tells two clusters of one name apart
 * @throws SluiceError ClusterMisconfigured; an AbortError: the signal ended the wait (rejects)
 */
export async function openNatsLeases(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  nats: Nats,
  { cluster, region }: { readonly cluster: string; readonly region: string },
  signal: AbortSignal,
): Promise<SharedState> {
  const bucket = await openBucket(
    { logger, clock, limitedLog: createLimitedLog({ logger, clock }) },
    nats,
    { cluster, identity: { region }, bucket: settings },
    signal,
  )
  return createNatsState({ connection: nats.connection, bucket, clock })
}
