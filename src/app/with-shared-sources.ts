import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

/**
 * Opens what the nodes of a cluster share. An engine that is no part of a cluster loads nothing of
 * it.
 *
 * @throws SluiceError ClusterMisconfigured, IdentityFileInvalid; an AbortError: the signal ended
 *   the wait for the store (rejects)
 */
export async function withSharedSources(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<AppDependencies> {
  const { config, sharedState } = dependencies
  const clusterName = config.cluster?.name ?? sharedState?.clusterName
  if (clusterName === undefined) return dependencies
  const state = sharedState?.state ?? (await openState(dependencies, stages))
  if (!state) return dependencies
  const { openSharedSources } = await import('./shared-sources.ts')
  const open = () => openSharedSources(dependencies, { state, clusterName })
  const shared = await stages.open('cluster state', open, (it) => it.close())
  return { ...dependencies, shared }
}

async function openState(dependencies: AppDependencies, stages: Stages) {
  const { config, signal } = dependencies
  const { cluster, region } = config
  if (!cluster) return undefined
  const { openNatsState } = await import('./open-nats-state.ts')
  const open = () => openNatsState(dependencies, { cluster, region }, signal)
  return (await stages.open('NATS', open, (it) => it.close())).state
}
