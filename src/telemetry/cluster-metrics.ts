import { Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { counter, sampledGauge, sampledGauges } from './metric-kinds.ts'

/** The metrics of a node of a cluster. A single engine does not make them. */
export type ClusterMetrics = ReturnType<typeof createClusterMetrics>

/**
 * Makes the metrics of a node of a cluster. `openLog` and `createLanes` take them.
 *
 * @param registry that of the engine; once for each
 */
export const createClusterMetrics = (registry: Registry) => ({
  logCommitSeconds: new Histogram({
    name: 'sluice_log_commit_seconds',
    help: 'From handing a batch to the log of the cluster until a majority of its servers has it.',
    // Less than the loss of a leader, which takes 4 to 10 seconds, and longer outages.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 10, 30, 60],
    registers: [registry],
  }),
  logRetries: counter(
    registry,
    'sluice_log_retries_total',
    'Requests to the log of the cluster that it did not answer, or could not carry out just then.',
  ),
  laneLagRecords: sampledGauges(
    registry,
    'sluice_lane_lag_records',
    'Records in the log that are not settled, by lane, of the lanes that this node owns.',
    'lane',
  ),
  lanesOwned: sampledGauge(
    registry,
    'sluice_lanes_owned',
    'Lanes that this node owns; those of all nodes together are 16.',
  ),
})

/** Of messages between nodes. */
export type RelayMetrics = ReturnType<typeof createRelayMetrics>

/** @param registry that of the engine; once for each */
export const createRelayMetrics = (registry: Registry) => ({
  messages: counter(
    registry,
    'sluice_relay_messages_total',
    'Messages for subscribers that went to other nodes of the cluster, or came from them.',
    'direction',
  ),
  dropped: counter(
    registry,
    'sluice_relay_dropped_total',
    'Messages between nodes of the cluster that subscribers did not get, by reason.',
    'reason',
  ),
})
