/** What operators see of a cluster, on the log in memory. */
import { expect, onTestFinished, test } from 'vitest'
import { decodeAboutNode, encodeAboutNode } from '../../src/cluster/operators/about-node.ts'
import { createClusterStatus } from '../../src/cluster/operators/cluster-status.ts'
import type { LogStatus } from '../../src/cluster/operators/cluster-status.ts'
import { createRandom } from '../helpers/random.ts'
import { noFaults } from './memory-log.ts'
import { createCluster, strictRecord } from './open-cluster.ts'

const healthy: LogStatus = {
  stream: 'SLUICE_test',
  leader: 'nats-0',
  followers: [
    { server: 'nats-1', isOnline: true, isCurrent: true, lag: 0 },
    { server: 'nats-2', isOnline: true, isCurrent: true, lag: 0 },
  ],
  replicas: 3,
  bytes: 100,
  bytesMax: 1_000,
  connectedTo: { server: 'nats-1', version: '2.15.2' },
}

async function openNodes() {
  const cluster = createCluster(createRandom(1))
  for (let index = 0; index < 2; index++) await cluster.add(noFaults)
  onTestFinished(() => cluster.end())
  await cluster.move(3_000)
  const logStatus = { answer: (): Promise<LogStatus> => Promise.resolve(healthy) }
  const [one, other] = cluster.nodes
  if (one === undefined || other === undefined) throw new Error('there are two nodes')
  const dependencies = { lanes: one.lanes, logStatus: () => logStatus.answer() }
  return { cluster, one, other, logStatus, status: createClusterStatus(dependencies, 'test') }
}

test('shows nodes with their lanes, what waits, and the log', async () => {
  const { cluster, one, other, status } = await openNodes()
  cluster.streams.stuck.add('of-stuck')
  await cluster.moveUntil(one.lanes.outbox.append([strictRecord('of-stuck', 'a', 'a')]))
  await cluster.move(6_000)
  const { nodes, lanes, log, problems, ...rest } = await status()
  expect(problems).toEqual([])
  expect(rest).toEqual({ cluster: 'test', node: one.name })
  expect(nodes).toMatchObject([
    { node: one.name, lanesOwned: 8 },
    { node: other.name, lanesOwned: 8 },
  ])
  expect(lanes.map(({ lane }) => lane)).toEqual(Array.from({ length: 16 }, (_, lane) => lane))
  expect(lanes.filter(({ records }) => records > 0)).toMatchObject([{ records: 1 }])
  expect(log).toBe(healthy)
})

test('says that a node has died, until its lanes have another owner', async () => {
  const { cluster, one, other, status } = await openNodes()
  cluster.forget(other)
  await other.kill()
  await cluster.move(9_000)
  const { nodes } = await status()
  expect(nodes.map(({ node }) => node)).toContain(other.name)
  const said: string[] = []
  for (let step = 0; step < 60; step++) {
    said.push(...(await status()).problems)
    await cluster.move(100)
  }
  expect(said.every((text) => /^Lanes? [\d, ]+ (is|are) without a live owner/.test(text))).toBe(
    true,
  )
  const after = await status()
  expect(after.problems).toEqual([])
  expect(after.nodes).toMatchObject([{ node: one.name, lanesOwned: 16 }])
})

test('says that the log is silent, or cannot be asked', async () => {
  const { cluster, status, logStatus } = await openNodes()
  cluster.network.hasLeader = false
  logStatus.answer = () => Promise.reject(new Error('timeout'))
  await cluster.move(12_000)
  const { log, problems } = await status()
  expect(log).toBeUndefined()
  expect(problems).toContain('The log cannot be asked: timeout')
  expect(problems).toContain(
    'This node has heard nothing from the log for some seconds: what it shows may be old.',
  )
  cluster.network.hasLeader = true
  await cluster.move(3_000)
})

test.each<[Partial<LogStatus>, string]>([
  [{ leader: undefined }, 'Stream SLUICE_test has no leader'],
  [{ replicas: 1, followers: [] }, 'Stream SLUICE_test has one replica'],
  [{ replicas: 2 }, 'Stream SLUICE_test has 2 replicas'],
  [{ bytes: 850 }, 'Stream SLUICE_test is 85 % full'],
  [
    { followers: [{ server: 'nats-1', isOnline: false, isCurrent: false, lag: 7 }] },
    'NATS server nats-1 is offline.',
  ],
  [
    { followers: [{ server: 'nats-1', isOnline: true, isCurrent: false, lag: 7 }] },
    'NATS server nats-1 is 7 messages behind.',
  ],
])('says what is wrong with the log: %j', async (changed, problem) => {
  const { status, logStatus } = await openNodes()
  logStatus.answer = () => Promise.resolve({ ...healthy, ...changed })
  expect((await status()).problems).toEqual([expect.stringContaining(problem)])
})

test('says that nodes have different releases, also when one does not tell its own', async () => {
  const about = encodeAboutNode({ host: 'edge-7', release: '0.2.0', startedAtMs: 5 })
  const status = createClusterStatus(
    {
      logStatus: undefined,
      lanes: {
        node: 'a',
        isLost: () => false,
        views: () => [],
        members: () => [
          { name: 'a', about, silentMs: 0 },
          { name: 'b', about: new Uint8Array(), silentMs: 10 },
        ],
      },
    },
    'test',
  )
  const { nodes, problems } = await status()
  expect(nodes).toMatchObject([
    { node: 'a', host: 'edge-7', release: '0.2.0', startedAtMs: 5 },
    { node: 'b', silentMs: 10 },
  ])
  expect(problems).toEqual([
    'Only 0 of 16 lanes are known yet: this node has just begun.',
    'Nodes have different releases (0.2.0, unknown): upgrade all to the same one.',
  ])
})

test.each(['', 'null', '7', '{', '{"host":5,"release":"","startedAtMs":"x"}', '{"host":null}'])(
  'a node that tells of itself what cannot be read is shown without it: %s',
  (text) => {
    const read = decodeAboutNode(Buffer.from(text))
    expect(Object.values(read).filter((value) => value !== undefined)).toEqual([])
  },
)
