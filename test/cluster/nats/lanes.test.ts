/** Nodes that share lanes by a stream of three NATS servers, of which one dies. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createRandom, oneOf } from '../../helpers/random.ts'
import { openDiskOutbox, startClusterNode } from '../cluster-node.ts'
import type { ClusterNode } from '../cluster-node.ts'
import { createFakeStreams } from '../fake-streams.ts'
import { strictRecord } from '../open-cluster.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf, openNode } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const clock = systemClock
const keys = Array.from({ length: 20 }, (_, index) => `device-${index}`)
const roundMs = 6_000

async function until(holds: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const endMs = clock.monotonicMs() + withinMs
  while (!(await holds()) && clock.monotonicMs() < endMs) await clock.sleep(100)
}

describe.skipIf(!program.isFound)(`lanes in JetStream${why}`, () => {
  if (!program.isFound) return
  let servers: NatsServers
  beforeAll(async () => {
    servers = await startNatsServers(program.file)
  })
  afterAll(() => servers.stop())

  test('no record is lost or out of order when a node stops and another one dies', async () => {
    const random = createRandom(1)
    const streams = createFakeStreams(clock, random, () => undefined)
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: 'lanes' })
    const { log: seen } = await openNode(config)
    const nodes: ClusterNode[] = []
    async function add(): Promise<ClusterNode> {
      const { log } = await openNode(config)
      const node = await startClusterNode({
        clock,
        random,
        openLog: () => log,
        wallAheadMs: 0,
        duringDiskWork: (work) => work,
        openOutbox: openDiskOutbox,
        callsFor: streams.callsFor,
      })
      nodes.push(node)
      return node
    }
    const [stopping, dying] = [await add(), await add()]
    await add()

    const acknowledged = new Map<string, number>()
    const ending = new AbortController()
    async function publish(key: string): Promise<void> {
      for (let number = 0; !ending.signal.aborted; number++) {
        let isStored = false
        while (!isStored) {
          const appended = oneOf(nodes, random).lanes.outbox.append([
            strictRecord('one', key, `${number}`),
            strictRecord('two', key, `${number}`),
          ])
          const answer = appended.then(
            () => true,
            () => false,
          )
          isStored = await Promise.race([answer, clock.sleep(3_000).then(() => false)])
        }
        acknowledged.set(key, number)
        await clock.sleep(random(20))
      }
    }
    const publishing = Promise.all(keys.map(publish))
    const remove = (node: ClusterNode) => nodes.splice(nodes.indexOf(node), 1)
    await clock.sleep(roundMs)
    remove(stopping)
    await stopping.stop()
    await add()
    await clock.sleep(roundMs)
    remove(dying)
    await dying.kill()
    await clock.sleep(roundMs)
    ending.abort()
    await publishing

    const ofStream = (streamName: string, key: string) => {
      const all = streams.arrivals.filter(
        (arrival) => arrival.streamName === streamName && arrival.partitionKey === key,
      )
      return [...new Set(all.map(({ text }) => Number(text)))]
    }
    const isAll = () =>
      keys.every((key) =>
        ['one', 'two'].every((name) => ofStream(name, key).includes(acknowledged.get(key) ?? -1)),
      )
    await until(isAll, 30_000)
    for (const key of keys) {
      for (const name of ['one', 'two']) {
        const arrived = ofStream(name, key)
        const last = Math.max(...arrived)
        expect(last).toBeGreaterThanOrEqual(acknowledged.get(key) ?? 0)
        expect(arrived).toEqual(Array.from({ length: last + 1 }, (_, number) => number))
      }
    }
    const owned = () => nodes.flatMap(({ lanes }) => lanes.owned())
    await until(() => owned().length === 16, 15_000)
    expect(new Set(owned()).size).toBe(16)
    const [first] = nodes
    await until(() => first?.lanes.ledgerTotals().queued === 0, 15_000)
    const { accepted, delivered } = first?.lanes.ledgerTotals() ?? {}
    expect(accepted).toBe(delivered)
    expect(accepted).toBeGreaterThan(keys.length * 20)
    await Promise.all(nodes.map((node) => node.stop()))
    await seen.close()
  })
})
