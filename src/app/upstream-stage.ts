import type { Engine } from '../engine/engine.ts'
import type { Ingress } from '../ingress/ingress.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Drain, Stages } from './stages.ts'

interface UpstreamStageDependencies extends AppDependencies {
  readonly metrics: Metrics
  readonly ingest: Engine['ingest']
  readonly ingress: Pick<Ingress, 'distribute' | 'connection'>
  /** Of the data folder. */
  readonly directory: string
  readonly drain: Drain
}

/**
 * Opens the way in from another broker, which takes no message before it is started. Its client of
 * MQTT is loaded here, when there is such a broker, and nowhere else.
 *
 * @returns undefined where no broker is configured
 * @throws SluiceError (rejects) ConfigInvalid, IdentityFileInvalid, DataFolderDamaged
 */
export async function openUpstreamStage(
  dependencies: UpstreamStageDependencies,
  stages: Stages,
): Promise<Upstream | undefined> {
  const { upstream: config } = dependencies.config
  if (config === undefined) return undefined
  const open = async () => {
    const { openUpstream } = await import('../upstream/open-upstream.ts')
    const { ingress, directory, config: all } = dependencies
    return openUpstream(
      {
        ...dependencies,
        directory,
        distribute: (message, kept) => ingress.distribute(message, kept),
        isConnectedHere(clientId) {
          const known = ingress.connection(clientId)
          return known !== undefined && known.ended === undefined
        },
      },
      { config, limits: all.mqtt },
    )
  }
  const { drain } = dependencies
  return stages.open('upstream', open, (it) => it.close({ drainMs: drain.leftMs() / 2 }))
}
