import type { Clock } from '../../base/clock.ts'
import { openBucket } from '../../cluster/nats/open-bucket.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import type { LastValues } from '../../cluster/state/last-values.ts'
import { createNatsLastValues } from '../../cluster/state/nats-last-values.ts'
import type { Config } from '../../config/config.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { retainedBytesMaxOf } from '../../ingress/kept/retained-messages.ts'

/** What values take besides topics and payloads, and those that nodes write at the same time. */
const roomFactor = 2

/**
 * The bucket of the retained messages of a cluster. This module loads the client of NATS.
 *
 * @throws SluiceError ClusterMisconfigured; an AbortError: the signal ended the wait (rejects)
 */
export async function openNatsRetained(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  nats: Nats,
  { cluster, region, mqtt }: Pick<Config, 'cluster' | 'region' | 'mqtt'>,
  signal: AbortSignal,
): Promise<LastValues | undefined> {
  if (!cluster) return undefined
  const bytesMax = roomFactor * retainedBytesMaxOf(mqtt.retainedMax)
  const settings = { name: 'RETAINED', history: 1, bytesMax, hasTtl: true }
  const bucket = await openBucket(
    { logger, clock, limitedLog: createLimitedLog({ logger, clock }) },
    nats,
    { cluster: cluster.name, identity: { region }, bucket: settings },
    signal,
  )
  const { connection, client } = nats
  const name = `SLUICE_${cluster.name}_${settings.name}`
  return createNatsLastValues({ client, connection, bucket, clock }, name)
}
