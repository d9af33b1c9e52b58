import { systemClock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import { loadConfig } from '../../config/config.ts'
import type { Host } from '../terminal/host.ts'

/** Whether commands change a cluster instead of files; an empty variable counts as not set. */
export const isInCluster = ({ environment }: Pick<Host, 'environment'>): boolean =>
  Boolean(environment['SLUICE_NATS_URL'])

/** How long a command waits for servers. */
const openMsMax = 15_000

/**
 * Does something with what the cluster of SLUICE_NATS_URL shares.
 *
 * @throws SluiceError ConfigInvalid, ClusterMisconfigured, IdentityFileInvalid,
 *   ServiceUnavailableException: no server answers (rejects); and what `work` throws
 */
export async function withCluster<Result>(
  host: Host,
  work: (state: ClusterState) => Promise<Result>,
): Promise<Result> {
  const { cluster, region } = loadConfig(host.environment, 'start')
  if (!cluster) {
    throw new SluiceError('ConfigInvalid', 'SLUICE_NATS_URL is not set: it names the cluster')
  }
  // Loaded when needed: `sluice --help` should not wait for the client of NATS.
  const { openNatsState } = await import('../../app/open-nats-state.ts')
  const { openClusterState } = await import('../../cluster/state/cluster-state.ts')
  const { createMemoryLogger } = await import('../../telemetry/telemetry.ts')
  const logger = createMemoryLogger(({ level, msg }) => {
    if (level === 'warn' || level === 'error') host.stderr.write(`${String(msg)}\n`)
  })
  const late = new AbortController()
  const { signal } = late
  const cancel = systemClock.after(openMsMax, () => late.abort())
  const dependencies = { logger, clock: systemClock }
  try {
    const nats = await openNatsState(dependencies, { cluster, region }, signal).catch(explain)
    try {
      const place = `cluster ${cluster.name}`
      const opening = openClusterState({ ...dependencies, state: nats.state }, { place, signal })
      const state = await opening.catch(explain)
      try {
        return await work(state)
      } finally {
        state.close()
      }
    } finally {
      await nats.close()
    }
  } finally {
    cancel()
  }
}

/** @throws SluiceError ServiceUnavailableException: the wait was over */
function explain(thrown: unknown): never {
  if (thrown instanceof SluiceError) throw thrown
  throw new SluiceError(
    'ServiceUnavailableException',
    `no server of SLUICE_NATS_URL answered within ${openMsMax / 1_000} s`,
    { cause: thrown },
  )
}
