import { readCredentials } from './credentials.ts'
import type { UpstreamOptions } from './reading.ts'
import { openUpstreamMemory } from './upstream-memory.ts'
import { checkUpstreamFilters } from './upstream-subscriptions.ts'
import { createUpstream } from './upstream.ts'
import type { Upstream, UpstreamDependencies } from './upstream.ts'

/**
 * Looks whether everything that is configured can be used, before anything is connected.
 *
 * @param dependencies.directory the data folder
 * @throws SluiceError (rejects) ConfigInvalid, IdentityFileInvalid, DataFolderDamaged,
 *   DataFolderUnusable
 */
export async function openUpstream(
  dependencies: Omit<UpstreamDependencies, 'memory'> & { readonly directory: string },
  options: UpstreamOptions,
): Promise<Upstream> {
  const { config } = options
  checkUpstreamFilters(config)
  await readCredentials(config)
  const memory = await openUpstreamMemory(dependencies.directory)
  return createUpstream({ ...dependencies, memory }, options)
}
