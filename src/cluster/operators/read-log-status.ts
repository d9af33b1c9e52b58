import type { Nats } from '../nats/open-nats.ts'
import { createLogNames } from '../log/log-names.ts'
import type { LogStatus } from './cluster-status.ts'

/**
 * Asks the servers how the stream of the log is.
 *
 * @throws what the client of NATS throws, such as when no leader answers within seconds (rejects)
 */
export async function readLogStatus(
  { manager, connection }: Pick<Nats, 'manager' | 'connection'>,
  clusterName: string,
): Promise<LogStatus> {
  const { stream } = createLogNames(clusterName)
  const { config, state, cluster } = await manager.streams.info(stream)
  const { server_name: server = '', version = '' } = connection.info ?? {}
  return {
    stream,
    // A server that is alone leads what it has.
    leader: cluster === undefined ? server : cluster.leader || undefined,
    followers: (cluster?.replicas ?? []).map(({ name, current, offline, lag }) => ({
      server: name,
      isOnline: !offline,
      isCurrent: current,
      lag: lag ?? 0,
    })),
    replicas: config.num_replicas,
    bytes: state.bytes,
    bytesMax: config.max_bytes,
    connectedTo: { server, version },
  }
}
