/** Nodes that share lanes by a log in NATS, while one of them and the leader of NATS are killed. */
import { setMaxListeners } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { unlessAborted } from '../../../src/base/unless-aborted.ts'
import { createRandom, oneOf } from '../../helpers/random.ts'
import { createTestMetrics, openDiskOutbox, startClusterNode } from '../cluster-node.ts'
import { createFakeStreams } from '../fake-streams.ts'
import { strictRecord } from '../open-cluster.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf, openNode } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const cluster = 'leader'
const stream = `SLUICE_${cluster}`
const devices = 18

describe.skipIf(!program.isFound)(`nodes and three NATS servers${why}`, () => {
  if (!program.isFound) return
  let servers: NatsServers
  beforeAll(async () => {
    servers = await startNatsServers(program.file)
  })
  afterAll(() => servers.stop())

  const random = createRandom(1)
  const streams = createFakeStreams(systemClock, random, () => undefined)

  async function startNode() {
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: cluster })
    const clusterMetrics = createTestMetrics()
    const { log, nats } = await openNode(config, undefined, clusterMetrics.metrics)
    const node = await startClusterNode({
      clock: systemClock,
      random,
      openLog: () => log,
      wallAheadMs: 0,
      duringDiskWork: (work) => work,
      openOutbox: openDiskOutbox,
      callsFor: streams.callsFor,
      clusterMetrics,
    })
    const killing = new AbortController()
    setMaxListeners(devices, killing.signal)
    return {
      ...node,
      /** Aborted when the node is killed. */
      gone: killing.signal,
      /** Chunks in the log. */
      async chunksLeft() {
        const subjects = { subjects_filter: `sluice.${cluster}.out.>` }
        const { state } = await nats.manager.streams.info(stream, subjects)
        return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
      },
      async kill() {
        killing.abort()
        await nats.close()
        await node.kill()
      },
    }
  }

  test('nothing acknowledged is lost, first arrivals are in order, and the ledger adds up', async () => {
    const nodes = [await startNode(), await startNode(), await startNode()]
    const ending = new AbortController()
    const published = Array.from({ length: devices }, async (_, device) => {
      const key = `device-${device}`
      let acknowledged = 0
      while (!ending.signal.aborted) {
        const { lanes, gone } = oneOf(nodes, random)
        const record = strictRecord('readings', key, `${key} ${acknowledged}`)
        // A device sends again, to any node, what was not acknowledged.
        const isStored = await unlessAborted(lanes.outbox.append([record]), gone).then(
          () => true,
          () => false,
        )
        if (isStored) acknowledged++
        await systemClock.sleep(random(20))
      }
      return { key, acknowledged }
    })
    const waitFor = async (more: number) => {
      const wanted = streams.arrivals.length + more
      while (streams.arrivals.length < wanted) await systemClock.sleep(50)
    }

    await waitFor(500)
    const killed = nodes.splice(0, 1)
    await Promise.all(killed.map((node) => node.kill()))
    await waitFor(1_000)
    nodes.push(await startNode())
    const leader = await servers.leaderOf(stream)
    await servers.signal(leader, 'SIGKILL')
    await waitFor(1_000)
    await servers.start(leader)
    // A rolling restart hands lanes over.
    const stopped = nodes.splice(0, 1)
    await Promise.all(stopped.map((node) => node.stop()))
    nodes.push(await startNode())
    await waitFor(1_000)

    ending.abort()
    const sent = await Promise.all(published)
    const isThere = new Set<string>()
    const isWhole = () => {
      for (const { text } of streams.arrivals) isThere.add(text)
      return sent.every(({ key, acknowledged }) => isThere.has(`${key} ${acknowledged - 1}`))
    }
    while (!isWhole()) await systemClock.sleep(100)
    const seen = new Set<string>()
    const firsts = streams.arrivals.filter(({ text }) => !seen.has(text) && seen.add(text))
    for (const { key, acknowledged } of sent) {
      const texts = firsts.filter(({ partitionKey }) => partitionKey === key)
      // What was not acknowledged may have arrived, too.
      expect(texts.slice(0, acknowledged).map(({ text }) => text)).toEqual(
        Array.from({ length: acknowledged }, (_, number) => `${key} ${number}`),
      )
      expect(texts.length).toBeLessThanOrEqual(acknowledged + 1)
    }
    const [node] = nodes
    while (((await node?.chunksLeft()) ?? 0) > 0) await systemClock.sleep(100)
    const isSettled = () => node?.lanes.ledgerTotals().queued === 0
    while (!isSettled()) await systemClock.sleep(100)
    const ledger = node?.lanes.ledgerTotals()
    // A record that its device has sent twice may be accepted twice.
    expect(ledger?.delivered).toBe(ledger?.accepted)
    expect(ledger?.accepted).toBeGreaterThanOrEqual(firsts.length)
    expect(ledger?.accepted).toBeLessThanOrEqual(streams.arrivals.length)
    const pages = await Promise.all(nodes.map((one) => one.metricsText()))
    const sumOf = (name: string) =>
      pages
        .flatMap((page) => [...page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, 'gm'))])
        .reduce((sum, [, value]) => sum + Number(value), 0)
    expect(sumOf('sluice_lanes_owned')).toBe(16)
    expect(sumOf('sluice_lane_lag_records')).toBe(0)
    expect(sumOf('sluice_log_commit_seconds_count')).toBeGreaterThan(100)
    // While there was no leader.
    expect(sumOf('sluice_log_retries_total')).toBeGreaterThan(0)
    for (const one of nodes) await one.stop()
  })
})
