import type { Clock } from '../../base/clock.ts'
import { openLog } from '../../cluster/log/open-log.ts'
import type { Nats } from '../../cluster/nats/open-nats.ts'
import { readLogStatus } from '../../cluster/operators/read-log-status.ts'
import { createNatsNodeRequests } from '../../cluster/operators/nats-node-requests.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { ClusterRecords } from './lanes-stage.ts'

/**
 * The log of a cluster and the requests between its nodes, by one connection. This module loads the
 * client of NATS.
 *
 * @param options.region tells two clusters of one name apart
 * @param options.bytesMax of all chunks in the log
 * @param signal ends the wait for a leader
 */
export function natsRecords(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  nats: Nats,
  {
    cluster,
    region,
    bytesMax,
  }: { readonly cluster: string; readonly region: string; readonly bytesMax: number },
  signal: AbortSignal,
): ClusterRecords {
  const dependencies = { logger, clock, limitedLog: createLimitedLog({ logger, clock }) }
  const options = { cluster, identity: { region }, bytesMax }
  return {
    openLog: (metrics, deadLetterBytes) =>
      openLog({ ...dependencies, metrics }, nats, { ...options, deadLetterBytes }, signal),
    requests: createNatsNodeRequests(nats.connection, cluster),
    logStatus: () => readLogStatus(nats, cluster),
  }
}
