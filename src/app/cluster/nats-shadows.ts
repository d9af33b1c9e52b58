import type { Clock } from '../../base/clock.ts'
import { openBucket } from '../../cluster/nats/open-bucket.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import type { ComparedValues } from '../../cluster/state/compared-values.ts'
import { createNatsComparedValues } from '../../cluster/state/nats-compared-values.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

const settings = Object.freeze({
  name: 'SHADOWS',
  history: 1,
  bytesMax: 1_073_741_824,
  hasTtl: true,
})

/**
 * The bucket of the device shadows of a cluster. This module loads the client of NATS.
 *
 * @throws SluiceError ClusterMisconfigured; an AbortError: the signal ended the wait (rejects)
 */
export async function openNatsShadows(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  nats: Nats,
  { cluster, region }: { readonly cluster: string; readonly region: string },
  signal: AbortSignal,
): Promise<ComparedValues> {
  const bucket = await openBucket(
    { logger, clock, limitedLog: createLimitedLog({ logger, clock }) },
    nats,
    { cluster, identity: { region }, bucket: settings },
    signal,
  )
  const name = `SLUICE_${cluster}_${settings.name}`
  return createNatsComparedValues({ client: nats.client, bucket, clock }, name)
}
