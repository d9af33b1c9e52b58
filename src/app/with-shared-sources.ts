import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

/**
 * Opens what the nodes of a cluster share. An engine that is no part of a cluster loads nothing of
 * it.
 *
 * @throws an AbortError: the signal ended the wait for the store (rejects)
 */
export async function withSharedSources(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<AppDependencies> {
  const { sharedState } = dependencies
  if (sharedState === undefined) return dependencies
  const { openSharedSources } = await import('./shared-sources.ts')
  const open = () => openSharedSources(dependencies, sharedState)
  const shared = await stages.open('cluster state', open, (it) => it.close())
  return { ...dependencies, shared }
}
