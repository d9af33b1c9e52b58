import type { Clock } from '../base/clock.ts'
import { openBucket } from '../cluster/nats/open-bucket.ts'
import { openNats } from '../cluster/nats/open-nats.ts'
import type { Nats } from '../cluster/nats/open-nats.ts'
import { createNatsState } from '../cluster/state/nats-state.ts'
import type { SharedState } from '../cluster/state/shared-state.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** What the nodes of a cluster share, in a bucket of NATS. */
interface NatsState {
  readonly state: SharedState
  /** The connection, for what else is in NATS. */
  readonly nats: Nats
  close(): Promise<void>
}

/** Each key keeps its last five values, which `nats kv history` shows. */
const bucket = Object.freeze({ name: 'STATE', history: 5, bytesMax: 1_073_741_824 })

/**
 * This module loads the client of NATS, so it is imported only by nodes of a cluster and by
 * `sluice cluster`. It waits while there is no server.
 *
 * @param region tells two clusters of one name apart
 * @throws SluiceError ClusterMisconfigured, IdentityFileInvalid; an AbortError: the signal ended
 *   the wait (rejects)
 */
export async function openNatsState(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  { cluster, region }: { readonly cluster: ClusterConfig; readonly region: string },
  signal: AbortSignal = new AbortController().signal,
): Promise<NatsState> {
  const dependencies = { logger, clock, limitedLog: createLimitedLog({ logger, clock }) }
  const nats = await openNats(dependencies, cluster, signal)
  try {
    const identity = { region }
    const options = { cluster: cluster.name, identity, bucket }
    const opened = await openBucket(dependencies, nats, options, signal)
    const state = createNatsState({ connection: nats.connection, bucket: opened, clock })
    return { state, nats, close: () => nats.close() }
  } catch (thrown) {
    await nats.close()
    throw thrown
  }
}
