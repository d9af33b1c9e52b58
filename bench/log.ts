/**
 * What the log of a cluster takes, with three NATS servers on this machine that flush before they
 * acknowledge. `npm run bench:log`: records a second of one node by the size of its batches, the
 * time until they are acknowledged, the CPU of both sides, and how long the loss of a leader lasts.
 */
import { execFileSync } from 'node:child_process'
import { systemClock } from '../src/base/clock.ts'
import { openLog } from '../src/cluster/log/open-log.ts'
import { laneCount } from '../src/cluster/log/replicated-log.ts'
import type { ReplicatedLog } from '../src/cluster/log/replicated-log.ts'
import { openNats } from '../src/cluster/nats/open-nats.ts'
import { clusterConfigOf } from '../src/config/cluster-config.ts'
import { clusterVariables } from '../src/config/cluster-variables.ts'
import { readVariables } from '../src/config/variable.ts'
import { createLimitedLog } from '../src/telemetry/limited-log.ts'
import { createMemoryLogger } from '../src/telemetry/logger.ts'
import { findNatsServer } from '../test/cluster/nats/find-nats-server.ts'
import { startNatsServers } from '../test/cluster/nats/nats-servers.ts'

const recordBytes = 300
const recordsInChunk = 100
const chunksInBatch = [1, 8, 16, 32, 64]
const measureMs = 4_000

const program = await findNatsServer()
if (!program.isFound) throw new Error(`nats-server cannot be had: ${program.reason}`)
const servers = await startNatsServers(program.file)
try {
  await measure()
} finally {
  await servers.stop()
}

async function measure(): Promise<void> {
  const variables = readVariables(clusterVariables, { SLUICE_NATS_URL: servers.url })
  const config = clusterConfigOf(variables)
  if (config === undefined) return
  const clock = systemClock
  const logger = createMemoryLogger(() => undefined)
  const dependencies = { clock, logger, limitedLog: createLimitedLog({ clock, logger }) }
  const { signal } = new AbortController()
  const nats = await openNats(dependencies, config, signal)
  const options = { cluster: config.name, identity: {}, bytesMax: 2_000_000_000 }
  const log = await openLog(dependencies, nats, options, signal)
  console.log('chunks/batch   records/s   p50 ms   p99 ms   node us/record   servers us/record')
  for (const chunks of chunksInBatch) await measureBatches(log, chunks)
  await measureLossOfLeader(log)
  await log.close()
  await nats.close()
}

async function measureBatches(log: ReplicatedLog, chunks: number): Promise<void> {
  const batch = batchOf(chunks)
  for (let warm = 0; warm < 5; warm++) await log.append(batch)
  const begin = performance.now()
  const cpu = process.cpuUsage()
  const cpuOfServers = serverCpuMs()
  const times: number[] = []
  while (performance.now() - begin < measureMs) {
    const from = performance.now()
    await log.append(batch)
    times.push(performance.now() - from)
  }
  const seconds = (performance.now() - begin) / 1_000
  const records = times.length * chunks * recordsInChunk
  const { user, system } = process.cpuUsage(cpu)
  const ofServers = (serverCpuMs() - cpuOfServers) * 1_000
  times.sort((left, right) => left - right)
  const at = (share: number) => (times[Math.floor(times.length * share)] ?? 0).toFixed(1)
  const columns = [
    String(chunks).padStart(12),
    Math.round(records / seconds)
      .toLocaleString('en')
      .padStart(11),
    at(0.5).padStart(8),
    at(0.99).padStart(8),
    ((user + system) / records).toFixed(2).padStart(16),
    (ofServers / records).toFixed(2).padStart(19),
  ]
  console.log(columns.join(' '))
  await forgetAll(log)
}

async function measureLossOfLeader(log: ReplicatedLog): Promise<void> {
  for (let kill = 0; kill < 3; kill++) {
    const leader = await servers.leaderOf('SLUICE_sluice')
    await log.append(batchOf(8))
    const from = performance.now()
    await servers.signal(leader, 'SIGKILL')
    await log.append(batchOf(8))
    console.log(`acknowledged again after ${Math.round(performance.now() - from)} ms`)
    await servers.start(leader)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
  }
}

async function forgetAll(log: ReplicatedLog): Promise<void> {
  const all = Array.from({ length: laneCount }, (_, lane) => lane)
  for (const lane of all) await log.forget(lane, { measured: Number.MAX_SAFE_INTEGER - 1 })
}

function batchOf(chunks: number) {
  return Array.from({ length: chunks }, (_, chunk) => ({
    lane: chunk % laneCount,
    destination: 'measured',
    data: Buffer.alloc(recordBytes * recordsInChunk, chunk),
  }))
}

/** CPU time of the three servers since they were started, by their process ids. */
function serverCpuMs(): number {
  const times = execFileSync('ps', ['-o', 'cputimes=', '-p', servers.pids().join(',')], {
    encoding: 'utf8',
  })
  return times
    .trim()
    .split('\n')
    .reduce((sum, seconds) => sum + Number(seconds) * 1_000, 0)
}
