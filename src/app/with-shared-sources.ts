import { createTrustedProxies } from '../base/trusted-proxies.ts'
import type { HttpListener } from '../http/server/http-listener.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

/**
 * Opens what the nodes of a cluster share: their state, their retained messages, and the way to the
 * log of accepted records. The HTTP port is opened before, because this may take as long as an
 * outage of NATS. An engine that is no part of a cluster loads nothing of it.
 *
 * @throws SluiceError ClusterMisconfigured, IdentityFileInvalid, PortUnavailable; an AbortError:
 *   the signal ended the wait for the store (rejects)
 */
export async function withSharedSources(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<AppDependencies> {
  const { config, sharedState } = dependencies
  if (config.cluster === undefined && sharedState === undefined) return dependencies
  const httpListener = await openPort(dependencies, stages)
  const given = sharedState ?? (await openInNats(dependencies, stages))
  if (given === undefined) return dependencies
  const { state, leases, records, clusterName } = given
  const { retained: retainedValues, shadows: shadowValues } = given
  const { openSharedSources } = await import('./shared-sources.ts')
  const open = () => openSharedSources(dependencies, { state, leases, clusterName })
  const shared = await stages.open('cluster state', open, (it) => it.close())
  const { reachNodes } = given
  const values = { retainedValues, shadowValues }
  return { ...dependencies, ...values, shared, records, reachNodes, httpListener }
}

/** Opens the HTTP port, so that the process is known to live while it waits. */
async function openPort(
  { config, logger, clock }: AppDependencies,
  stages: Stages,
): Promise<HttpListener> {
  const { http, tls, trustedProxies } = config
  const { openWaitingPort } = await import('../http/waiting-port.ts')
  const proxies = createTrustedProxies(trustedProxies)
  const { port, listener } = await stages.open(
    'waiting port',
    () =>
      openWaitingPort({ logger, clock, proxies, ...(http.tls && tls && { tls }) }, http, {
        status: 'starting',
        reasons: ['clusterUnreachable'],
        message:
          'The engine waits for NATS, or for a leader of it: its log says more. Nothing is ' +
          'accepted meanwhile.',
      }),
    (it) => it.close(),
  )
  logger.info({ http: port }, 'the HTTP port says that this node lives while it waits for NATS')
  return listener
}

/** State and log have one connection, which is closed after all else. */
async function openInNats(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<AppDependencies['sharedState']> {
  const { config, signal = new AbortController().signal } = dependencies
  const { cluster, region, outboxBytesMax: bytesMax } = config
  if (!cluster) return undefined
  const { openNatsState } = await import('./open-nats-state.ts')
  const openState = () => openNatsState(dependencies, { cluster, region }, signal)
  const { state, nats } = await stages.open('NATS', openState, (it) => it.close())
  const { openNatsBuckets } = await import('./cluster/nats-buckets.ts')
  const { natsNodes } = await import('./cluster/nats-nodes.ts')
  const { natsRecords } = await import('./cluster/nats-records.ts')
  const { name: clusterName } = cluster
  const ofCluster = { cluster: clusterName, region }
  const { retainedMax } = config.mqtt
  const openBuckets = () =>
    openNatsBuckets(dependencies, nats, { ...ofCluster, retainedMax }, signal)
  const buckets = await stages.open('buckets of NATS', openBuckets)
  const records = natsRecords(dependencies, nats, { ...ofCluster, bytesMax }, signal)
  const reachNodes = natsNodes(dependencies, nats, clusterName)
  return { state, records, reachNodes, ...buckets, clusterName }
}
