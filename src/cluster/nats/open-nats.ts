import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { ClusterConfig } from '../../config/cluster-config.ts'
import { connectToNats } from './connection.ts'
import type { NatsDependencies } from './connection.ts'
import { checkMonitors } from './monitor-check.ts'
import { isWithoutResponder, jetStreamIsOff, misconfigured } from './nats-problem.ts'
import { faultOfServer } from './server-check.ts'
import { untilAnswered } from './until-answered.ts'

/**
 * This module loads the client of NATS, so it is imported only when `SLUICE_NATS_URL` is set.
 *
 * A checked connection to NATS servers with JetStream.
 */
export interface Nats {
  readonly connection: NatsConnection
  /** For requests to JetStream. Their answer comes from the leader. */
  readonly manager: JetStreamManager
  /** For reading streams. */
  readonly client: JetStreamClient
  /** Whether the server is alone, so that nothing can be replicated. */
  readonly isSingleServer: boolean
  close(): Promise<void>
}

const requestMs = 2_000

/**
 * Connects, and checks what a client can see of the servers. It waits as long as there is no
 * server, or no leader of JetStream.
 *
 * @param signal gives up waiting
 * @throws SluiceError ClusterMisconfigured: one line that says what to change; IdentityFileInvalid:
 *   a file of the login cannot be read; an AbortError when the signal aborts
 */
export async function openNats(
  dependencies: NatsDependencies,
  config: ClusterConfig,
  signal: AbortSignal,
): Promise<Nats> {
  const connection = await connectToNats(dependencies, config, signal)
  try {
    const { info } = connection
    const fault = info && faultOfServer(info)
    if (fault !== undefined) throw misconfigured(fault)
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: requestMs })
    await untilAnswered(
      dependencies,
      async () => {
        try {
          return await manager.getAccountInfo()
        } catch (thrown) {
          // Without JetStream nobody listens, and neither does anybody while servers start.
          const isOff = isWithoutResponder(thrown) && connection.info?.jetstream !== true
          throw isOff ? misconfigured(jetStreamIsOff, thrown) : thrown
        }
      },
      'waiting for a leader of JetStream',
      signal,
    )
    await checkMonitors(dependencies, config.monitorUrls, signal)
    return {
      connection,
      manager,
      client: jetstream(connection, { timeout: requestMs }),
      isSingleServer: connection.info?.cluster === undefined,
      close: () => connection.close(),
    }
  } catch (thrown) {
    await connection.close()
    throw thrown
  }
}
