import type { Clock } from '../../base/clock.ts'
import { bucketNameOf, openBucket } from '../../cluster/nats/open-bucket.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import type { ComparedValues } from '../../cluster/state/compared-values.ts'
import type { LastValues } from '../../cluster/state/last-values.ts'
import { createNatsComparedValues } from '../../cluster/state/nats-compared-values.ts'
import { createNatsLastValues } from '../../cluster/state/nats-last-values.ts'
import { createNatsState } from '../../cluster/state/nats-state.ts'
import type { SharedState } from '../../cluster/state/shared-state.ts'
import { retainedBytesMaxOf } from '../../ingress/kept/retained-messages.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/** What the nodes of a cluster share besides their state, in buckets of NATS. */
interface NatsBuckets {
  readonly retained: LastValues
  readonly shadows: ComparedValues
  /** Of event source mappings. */
  readonly leases: SharedState
}

interface NatsBucketsOptions {
  /** The name of the cluster. */
  readonly cluster: string
  /** Tells two clusters of one name apart. */
  readonly region: string
  readonly retainedMax: number
}

const ofShadows = Object.freeze({
  name: 'SHADOWS',
  history: 1,
  bytesMax: 1_073_741_824,
  hasTtl: true,
})
/** It changes with each checkpoint of a shard. */
const ofLeases = Object.freeze({ name: 'MAPPINGS', history: 1, bytesMax: 268_435_456 })
/**
 * What values of retained messages take besides topics and payloads, and those that nodes write at
 * the same time.
 */
const roomFactor = 2

/**
 * This module loads the client of NATS.
 *
 * @throws SluiceError ClusterMisconfigured; an AbortError: the signal ended the wait (rejects)
 */
export async function openNatsBuckets(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  nats: Nats,
  { cluster, region, retainedMax }: NatsBucketsOptions,
  signal: AbortSignal,
): Promise<NatsBuckets> {
  const { connection, client } = nats
  const dependencies = { logger, clock, limitedLog: createLimitedLog({ logger, clock }) }
  const open = (bucket: Parameters<typeof openBucket>[2]['bucket']) =>
    openBucket(dependencies, nats, { cluster, identity: { region }, bucket }, signal)
  const bytesMax = roomFactor * retainedBytesMaxOf(retainedMax)
  const ofRetained = { name: 'RETAINED', history: 1, bytesMax, hasTtl: true }
  return {
    retained: createNatsLastValues(
      { client, connection, bucket: await open(ofRetained), clock },
      bucketNameOf(cluster, ofRetained),
    ),
    shadows: createNatsComparedValues(
      { client, bucket: await open(ofShadows), clock },
      bucketNameOf(cluster, ofShadows),
    ),
    leases: createNatsState({ connection, bucket: await open(ofLeases), clock }),
  }
}
