import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

/**
 * Opens what the nodes of a cluster share: their state, and the way to the log of accepted
 * records. An engine that is no part of a cluster loads nothing of it.
 *
 * @throws SluiceError ClusterMisconfigured, IdentityFileInvalid; an AbortError: the signal ended
 *   the wait for the store (rejects)
 */
export async function withSharedSources(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<AppDependencies> {
  const given = dependencies.sharedState ?? (await openInNats(dependencies, stages))
  if (given === undefined) return dependencies
  const { state, records, clusterName } = given
  const { openSharedSources } = await import('./shared-sources.ts')
  const open = () => openSharedSources(dependencies, { state, clusterName })
  const shared = await stages.open('cluster state', open, (it) => it.close())
  return { ...dependencies, shared, records }
}

/** State and log have one connection, which is closed after all else. */
async function openInNats(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<Required<NonNullable<AppDependencies['sharedState']>> | undefined> {
  const { config, signal = new AbortController().signal } = dependencies
  const { cluster, region, outboxBytesMax: bytesMax } = config
  if (!cluster) return undefined
  const { openNatsState } = await import('./open-nats-state.ts')
  const openState = () => openNatsState(dependencies, { cluster, region }, signal)
  const { state, nats } = await stages.open('NATS', openState, (it) => it.close())
  const { natsRecords } = await import('./cluster/nats-records.ts')
  const options = { cluster: cluster.name, region, bytesMax }
  const records = natsRecords(dependencies, nats, options, signal)
  return { state, records, clusterName: cluster.name }
}
