import { afterAll } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { openLog } from '../../../src/cluster/log/open-log.ts'
import type { ReplicatedLog } from '../../../src/cluster/log/replicated-log.ts'
import { openNats } from '../../../src/cluster/nats/open-nats.ts'
import type { Nats } from '../../../src/cluster/nats/open-nats.ts'
import { clusterConfigOf } from '../../../src/config/cluster-config.ts'
import type { ClusterConfig } from '../../../src/config/cluster-config.ts'
import { clusterVariables } from '../../../src/config/cluster-variables.ts'
import { readVariables } from '../../../src/config/variable.ts'
import type { ClusterMetrics } from '../../../src/telemetry/cluster-metrics.ts'
import { createLimitedLog } from '../../../src/telemetry/limited-log.ts'

/** Lines that the code under test has logged. */
export function createLines() {
  const lines: string[] = []
  const write = (_fields: object, text: string) => void lines.push(text)
  const logger = { info: write, warn: write, error: write }
  const clock = systemClock
  // A second instead of a minute, so that each line is seen.
  const limitedLog = createLimitedLog({ logger, clock }, { linesMax: 1, intervalMs: 1_000 })
  return { lines, dependencies: { clock, logger: logger as never, limitedLog } }
}

export const identity = { account: '000000000000', region: 'us-east-1' }
const bytesMaxUsual = 134_217_728

/** The configuration that these variables give. */
export function configOf(variables: Readonly<Record<string, string>>): ClusterConfig {
  const config = clusterConfigOf(readVariables(clusterVariables, variables))
  if (config === undefined) throw new Error('SLUICE_NATS_URL is not set')
  return config
}

/** A node that is closed with the tests of its file. */
export interface OpenedNode {
  readonly log: ReplicatedLog
  readonly nats: Nats
  readonly lines: readonly string[]
}

export async function openNode(
  config: ClusterConfig,
  bytesMax = bytesMaxUsual,
  metrics?: ClusterMetrics,
): Promise<OpenedNode> {
  const { lines, dependencies } = createLines()
  const { signal } = new AbortController()
  const nats = await openNats(dependencies, config, signal)
  const log = await openLog(
    { ...dependencies, metrics },
    nats,
    { cluster: config.name, identity, bytesMax },
    signal,
  )
  afterAll(async () => {
    await log.close()
    await nats.close()
  })
  return { log, nats, lines }
}
