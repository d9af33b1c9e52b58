import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { version } from '../../base/version.ts'
import { createLanes } from '../../cluster/lanes/lanes.ts'
import type { Lanes } from '../../cluster/lanes/lanes.ts'
import { createClusterOutbox } from '../../cluster/operators/cluster-outbox.ts'
import type { ClusterOutboxDependencies } from '../../cluster/operators/cluster-outbox.ts'
import type { ReplicatedLog } from '../../cluster/log/replicated-log.ts'
import { encodeAboutNode } from '../../cluster/operators/about-node.ts'
import { createClusterStatus } from '../../cluster/operators/cluster-status.ts'
import type { ClusterStatus, LogStatus } from '../../cluster/operators/cluster-status.ts'
import type { NodeRequests } from '../../cluster/operators/node-requests.ts'
import type { Config } from '../../config/config.ts'
import { openOutbox } from '../../outbox/outbox.ts'
import type { ManagedOutbox } from '../../outbox/managed-outbox.ts'
import type { Outbox } from '../../outbox/outbox.ts'
import { createClusterMetrics } from '../../telemetry/cluster-metrics.ts'
import type { ClusterMetrics } from '../../telemetry/cluster-metrics.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'

/** The log of a cluster, and the way to its other nodes. */
export interface ClusterRecords {
  /**
   * Waits for a leader of the log.
   *
   * @param deadLetterBytes what dead letters take in it, as its lanes say
   */
  readonly openLog: (
    metrics: ClusterMetrics,
    deadLetterBytes: () => number,
  ) => Promise<ReplicatedLog>
  readonly requests: NodeRequests
  /** How its stream is. Undefined: it has none. */
  readonly logStatus?: (() => Promise<LogStatus>) | undefined
}

interface LanesStageDependencies {
  readonly config: Pick<Config, 'outboxBytesMax' | 'cluster'>
  readonly logger: Logger
  readonly clock: Clock
}

/** Stops what was opened, the last one first. */
interface Stages {
  add<Stage>(stage: Stage, stop: (stage: Stage) => void | Promise<void>): Stage
  open<Stage>(
    name: string,
    start: () => Promise<Stage>,
    stop: (stage: Stage) => void | Promise<void>,
  ): Promise<Stage>
}

/** What this node has of the records of its cluster. */
export interface LanesStage extends Pick<
  Lanes,
  'outbox' | 'guardCalls' | 'guardSender' | 'isLost'
> {
  /** What operators see of the cluster. */
  readonly status: () => Promise<ClusterStatus>
  /** What operators ask the outbox of the cluster. Answers other nodes, too, from here on. */
  manage(parts: Pick<ClusterOutboxDependencies, 'engine' | 'deliveryOf'>): ManagedOutbox
  /** Takes part. Resolves when it is known who has which lane: it waits for the log. */
  start(): Promise<void>
}

interface LanesStageParts extends ClusterRecords {
  readonly metrics: Metrics
  /** The data folder. */
  readonly directory: string
  readonly hasRule: (ruleName: string) => boolean
  /** The time that all stages share to stop. */
  readonly drain: { leftMs(): number }
}

/** Of the data folder: what this node holds of the log. It is removed at each start. */
const cacheFolderName = 'cluster-cache'
/** To hand lanes over, also when all time of the drain is spent. */
const handOverMsMin = 2_000

/**
 * Opens the lanes of the log that this node delivers. It is imported only in engines that are part
 * of a cluster.
 *
 * @throws SluiceError ClusterMisconfigured, DataFolderUnusable; an AbortError: the signal ended the
 *   wait for the log (rejects)
 */
export async function openLanesStage(
  { config, logger, clock }: LanesStageDependencies,
  { openLog, requests, logStatus, metrics, directory, hasRule, drain }: LanesStageParts,
  stages: Stages,
): Promise<LanesStage> {
  const clusterMetrics = createClusterMetrics(metrics.registry)
  const opened: { lanes?: Pick<Lanes, 'deadLetterBytesInLog'> } = {}
  const log = await stages.open(
    'cluster log',
    () => openLog(clusterMetrics, () => opened.lanes?.deadLetterBytesInLog() ?? 0),
    (it) => it.close(),
  )
  const cache = path.join(directory, cacheFolderName)
  await rm(cache, { recursive: true, force: true })
  const outbox = await stages.open(
    'outbox',
    () =>
      openOutbox(
        { directory: cache, metrics, logger, clock },
        // Its bounds are its own: what it takes is bounded by what the lanes read ahead.
        { hasRule, file: { wasMade: false, isCache: true } },
      ),
    (it) => it.close(),
  )
  const node = `${hostname().replaceAll(/[^\w-]/g, '-')}-${randomUUID()}`
  const about = encodeAboutNode({
    host: hostname(),
    release: version,
    startedAtMs: Math.round(clock.wallMs()),
  })
  const lanes = stages.add(
    createLanes({ log, outbox, clock, logger, metrics: clusterMetrics }, { node, about }),
    async (it) => {
      const ending = new AbortController()
      // What cannot be handed over in time is taken by others when its lease has run out.
      const waitMs = Math.max(drain.leftMs(), handOverMsMin)
      await Promise.race([it.stop(), clock.sleep(waitMs, ending.signal)])
      ending.abort()
    },
  )
  opened.lanes = lanes
  const { outboxBytesMax: bytesMax } = config
  const limits = { ...outbox.limits, bytesMax, destinationBytesMax: bytesMax }
  return {
    outbox: lanes.outbox,
    guardCalls: (calls) => lanes.guardCalls(calls),
    guardSender: (sender) => lanes.guardSender(sender),
    isLost: () => lanes.isLost(),
    status: createClusterStatus({ lanes, logStatus }, config.cluster?.name ?? ''),
    manage(parts) {
      const managed = createClusterOutbox({ ...parts, lanes, outbox, requests, clock, limits })
      stages.add(managed.serve(), (stop) => stop())
      return managed
    },
    async start() {
      await lanes.start()
      const { cluster } = config
      logger.info(
        { cluster: cluster?.name, node },
        'accepted records go into the log of the cluster',
      )
    },
  }
}

/**
 * Refuses a data folder that has records of its own: nobody would deliver them.
 *
 * @throws SluiceError ClusterMisconfigured
 */
export function requireEmpty(
  earlier: Pick<Outbox, 'size' | 'deadLetters'>,
  directory: string,
): void {
  const { records } = earlier.size()
  const deadLetters = earlier.deadLetters.size().records
  if (records + deadLetters === 0) return
  throw new SluiceError(
    'ClusterMisconfigured',
    `The outbox of ${directory} has ${records} records and ${deadLetters} dead letters from before ` +
      'this engine was part of a cluster: start it without SLUICE_NATS_URL until both are 0, or ' +
      'give it another SLUICE_DATA_DIR',
  )
}
