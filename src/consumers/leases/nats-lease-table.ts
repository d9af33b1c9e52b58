import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { openBucket } from '../../cluster/nats/open-bucket.ts'
import { openNats } from '../../cluster/nats/open-nats.ts'
import { openClusterState } from '../../cluster/state/cluster-state.ts'
import { createNatsState } from '../../cluster/state/nats-state.ts'
import type { ClusterConfig } from '../../config/cluster-config.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { CheckpointScope } from '../checkpoints.ts'
import type { LeaseTable } from './lease.ts'
import { openStateLeaseTable } from './state-lease-table.ts'

/** How long the start of a consumer waits for servers. */
const openMsMax = 15_000
const bucket = Object.freeze({ name: 'CONSUMERS', history: 1, bytesMax: 268_435_456 })

/** What the client tells of its servers shows in what the consumer tells of its leases. */
const silentLogger = Object.freeze({
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
})

/**
 * Opens the leases of an application in a bucket of NATS, by a connection of their own. This module
 * loads the client of NATS.
 *
 * @throws SluiceError LeaseTableUnusable: no server answers; ClusterMisconfigured,
 *   IdentityFileInvalid; an AbortError: the signal ended the wait (rejects)
 */
export async function openNatsLeaseTable(
  { clock }: { readonly clock: Clock },
  { config, scope }: { readonly config: ClusterConfig; readonly scope: CheckpointScope },
  stop: AbortSignal | undefined,
): Promise<LeaseTable> {
  const late = new AbortController()
  const signal = stop ? AbortSignal.any([stop, late.signal]) : late.signal
  const cancel = clock.after(openMsMax, () => late.abort())
  try {
    return await open(clock, config, scope, signal)
  } catch (thrown) {
    if (!late.signal.aborted || stop?.aborted) throw thrown
    throw new SluiceError(
      'LeaseTableUnusable',
      `the leases in ${config.servers.join(', ')}: no server answered within ` +
        `${openMsMax / 1_000} s, or JetStream has no leader`,
      { cause: thrown },
    )
  } finally {
    cancel()
  }
}

async function open(
  clock: Clock,
  config: ClusterConfig,
  scope: CheckpointScope,
  signal: AbortSignal,
): Promise<LeaseTable> {
  const logger = silentLogger
  const dependencies = { clock, logger, limitedLog: createLimitedLog({ logger, clock }) }
  const nats = await openNats(dependencies, config, signal)
  try {
    const options = { cluster: config.name, identity: {}, bucket }
    const opened = await openBucket(dependencies, nats, options, signal)
    const shared = createNatsState({ connection: nats.connection, bucket: opened, clock })
    const place = `the bucket SLUICE_${config.name}_${bucket.name}`
    const state = await openClusterState({ state: shared, clock, logger }, { place, signal })
    const close = () => {
      state.close()
      void nats.close()
    }
    return await openStateLeaseTable(state, { scope, place, close }).catch((thrown: unknown) => {
      state.close()
      throw thrown
    })
  } catch (thrown) {
    await nats.close()
    throw thrown
  }
}
