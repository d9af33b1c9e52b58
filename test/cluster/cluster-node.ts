import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Registry } from 'prom-client'
import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createLanes } from '../../src/cluster/lanes/lanes.ts'
import type { Lanes } from '../../src/cluster/lanes/lanes.ts'
import type { ReplicatedLog } from '../../src/cluster/log/replicated-log.ts'
import { createProducer } from '../../src/delivery/producer.ts'
import type { OnGivenUp } from '../../src/delivery/producer.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { createClusterMetrics } from '../../src/telemetry/cluster-metrics.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { Random } from '../helpers/random.ts'
import { createNodeClock } from './node-clock.ts'
import type { NodeClock } from './node-clock.ts'

/** One node of a cluster in this process: its outbox, its lanes and its producer. */
export interface ClusterNode {
  readonly name: string
  readonly clock: NodeClock
  readonly lanes: Lanes
  readonly lines: readonly Record<string, unknown>[]
  /** What Prometheus reads of it as a node of a cluster. */
  metricsText(): Promise<string>
  /** As SIGTERM does: hands its lanes over. */
  stop(): Promise<void>
  /** As SIGKILL does. */
  kill(): Promise<void>
  /** Resolves when it is killed: nothing that it promised comes then. */
  readonly killed: Promise<void>
}

interface ClusterNodeParts {
  readonly clock: Clock
  readonly random: Random
  readonly openLog: (nodeClock: NodeClock) => ReplicatedLog
  /** How far its time of day is ahead. */
  readonly wallAheadMs: number
  /** The calls of this node to Kinesis. */
  readonly callsFor: (name: string, clock: NodeClock) => Pick<KinesisCalls, 'put'>
  readonly onGivenUp?: OnGivenUp
  readonly openOutbox: (
    parts: Omit<Parameters<typeof openOutbox>[0], 'directory'>,
  ) => Promise<Outbox>
  /** What the disk does takes no time of the clock: the clock waits for it. */
  readonly duringDiskWork: <Result>(work: Promise<Result>) => Promise<Result>
  readonly readAheadBytesMax?: number | undefined
  readonly letterBytesMax?: number | undefined
  /** Default: on a page of its own. */
  readonly clusterMetrics?: ReturnType<typeof createTestMetrics> | undefined
}

/** The metrics of a node of a cluster, on a page that has nothing else. */
export function createTestMetrics() {
  const registry = new Registry()
  return { registry, metrics: createClusterMetrics(registry) }
}

let nodesMade = 0
/** No test reads them, and they take long to make. */
const metrics = createMetrics()

/** An outbox on disk, in a folder that goes with it. */
export async function openDiskOutbox(
  parts: Omit<Parameters<typeof openOutbox>[0], 'directory'>,
): Promise<Outbox> {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-cluster-'))
  const outbox = await openOutbox({ ...parts, directory }, { file: { isCache: true } })
  return {
    ...outbox,
    async close() {
      await outbox.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export async function startClusterNode(parts: ClusterNodeParts): Promise<ClusterNode> {
  const { random, duringDiskWork } = parts
  const name = `node-${String((nodesMade += 1)).padStart(6, '0')}`
  const clock = createNodeClock(parts.clock, parts.wallAheadMs)
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const own = await duringDiskWork(parts.openOutbox({ metrics, logger, clock }))
  const outbox: Outbox = {
    ...own,
    append: (records, options) => duringDiskWork(own.append(records, options)),
  }
  const log = parts.openLog(clock)
  const { readAheadBytesMax, letterBytesMax } = parts
  const { registry, metrics: ofCluster } = parts.clusterMetrics ?? createTestMetrics()
  const lanes = createLanes(
    { log, outbox, clock, logger, metrics: ofCluster },
    { node: name, readAheadBytesMax, letterBytesMax },
  )
  const calls: KinesisCalls = { ...denied, ...parts.callsFor(name, clock) }
  const producer = createProducer({
    outbox: lanes.outbox,
    callsFor: () => lanes.guardCalls(calls),
    senderFor({ kind }) {
      throw new Error(`no test sends to ${kind} here`)
    },
    clock,
    logger,
    metrics,
    random: () => random(1_000_000) / 1_000_000,
    onGivenUp: parts.onGivenUp,
  })
  producer.start()
  void lanes.start().catch(() => undefined)

  return {
    name,
    clock,
    lanes,
    lines,
    metricsText: () => registry.metrics(),
    async stop() {
      await producer.stop({ drainMs: 2_000 })
      await lanes.stop()
      await log.close()
      await duringDiskWork(own.close())
    },
    killed: clock.killed,
    async kill() {
      clock.kill()
      void producer.stop({ drainMs: 0 })
      await log.close()
      await duringDiskWork(own.close())
    },
  }
}

/** A role that may write and do nothing else. */
const denied: Pick<KinesisCalls, 'recordBytesMax' | 'listShards'> = {
  recordBytesMax: () => Promise.resolve({ kind: 'denied' }),
  listShards: () =>
    Promise.resolve({
      listed: false,
      failure: { code: 'AccessDeniedException', message: 'no', source: 'Kinesis' },
    }),
}
