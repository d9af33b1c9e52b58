/** Shadows of a cluster: nodes in one process that share a store in memory. */
import { describe, expect, test } from 'vitest'
import { createRandom } from '../helpers/random.ts'
import { newCluster, openShadows } from './shadow-parts.ts'

const update = (reported: object, version?: number) => ({
  state: { reported },
  ...(version !== undefined && { version }),
})

/** Nodes of one cluster; the faults of each are those of its way to the store. */
async function join(count: number) {
  const cluster = newCluster()
  const ways: ReturnType<typeof cluster.values.connect>[] = []
  const connect = () => {
    const way = cluster.values.connect()
    ways.push(way)
    return way
  }
  const values = { ...cluster.values, connect }
  const nodes = await Promise.all(
    Array.from({ length: count }, () => openShadows(undefined, 'shared', { ...cluster, values })),
  )
  return nodes.map((node, index) => {
    const faults = ways[index]?.faults
    if (faults === undefined) throw new Error('each node has a way to the store')
    return { ...node, faults }
  })
}

const nodeOf = <Node>(nodes: readonly Node[], index: number): Node => {
  const node = nodes[index]
  if (node === undefined) throw new Error('there is no such node')
  return node
}

const versionOf = (answers: Record<string, unknown>): number =>
  (answers['update/accepted'] as { version: number }).version

async function documentOf(node: Awaited<ReturnType<typeof join>>[number]) {
  const { 'get/accepted': got } = await node.ask('get')
  return got as { version: number; state: { reported: Record<string, unknown> } }
}

test('updates of three nodes at once lose none, and their versions have no gaps', async () => {
  const nodes = await join(3)
  const updates = nodes.flatMap((node, at) =>
    Array.from({ length: 20 }, (_, count) =>
      node.ask('update', update({ [`n${at}-${count}`]: 1 })),
    ),
  )
  const versions = (await Promise.all(updates)).map(versionOf)
  expect(versions.toSorted((one, other) => one - other)).toEqual(versions.map((_, at) => at + 1))
  // At each node in the order in which they were asked for.
  for (const at of [0, 1, 2]) {
    const own = versions.slice(at * 20, at * 20 + 20)
    expect(own).toEqual(own.toSorted((one, other) => one - other))
  }
  const { version, state } = await documentOf(nodeOf(nodes, 2))
  expect([version, Object.keys(state.reported).length]).toEqual([60, 60])
})

test('of two updates that name one version, one is a conflict', async () => {
  const nodes = await join(2)
  await nodeOf(nodes, 0).ask('update', update({ a: 0 }))
  const answers = await Promise.all(nodes.map(({ ask }, at) => ask('update', update({ at }, 1))))
  const rejected = answers.filter((answer) => 'update/rejected' in answer)
  expect(rejected).toEqual([{ 'update/rejected': { code: 409, message: 'Version conflict' } }])
  expect((await documentOf(nodeOf(nodes, 0))).version).toBe(2)
})

test('a shadow that one node deleted goes on with its version at another one', async () => {
  const nodes = await join(2)
  await nodeOf(nodes, 0).ask('update', update({ a: 0 }))
  await nodeOf(nodes, 0).ask('delete')
  const answers = await nodeOf(nodes, 1).ask('update', update({ a: 1 }))
  expect(versionOf(answers)).toBe(2)
})

describe('a store that cannot be reached', () => {
  test('fails the request, so that the device asks again', async () => {
    const [node] = await join(1)
    if (node === undefined) throw new Error('there is no node')
    await node.ask('update', update({ a: 0 }))
    node.faults.isCut = true
    const unavailable = { code: 'ServiceUnavailableException' }
    for (const operation of ['get', 'update', 'delete']) {
      await expect(node.ask(operation, update({ a: 1 }))).rejects.toMatchObject(unavailable)
    }
    await expect(node.shadows.read('lamp', undefined)).rejects.toMatchObject(unavailable)
    node.faults.isCut = false
    expect((await documentOf(node)).version).toBe(1)
  })

  test('an update whose answer is lost is made once', async () => {
    const [node] = await join(1)
    if (node === undefined) throw new Error('there is no node')
    node.faults.answersLost = 1
    expect(versionOf(await node.ask('update', update({ a: 1 })))).toBe(1)
    node.faults.requestsLost = 2
    expect(versionOf(await node.ask('update', update({ a: 2 })))).toBe(2)
    node.faults.requestsLost = 3
    await expect(node.ask('update', update({ a: 3 }))).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
    })
  })
})

test.each(Array.from({ length: 20 }, (_, seed) => seed))(
  'under faults, versions of what was accepted never come twice (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const nodes = await join(3)
    const accepted: number[] = []
    const pending: Promise<unknown>[] = []
    for (let step = 0; step < 60; step++) {
      const node = nodeOf(nodes, random(3))
      const act = random(8)
      if (act === 0) node.faults.answersLost = random(3)
      else if (act === 1) node.faults.requestsLost = random(3)
      else if (act === 2) node.faults.isCut = random(2) === 0
      else {
        const asked = node.ask('update', update({ [`s${step}`]: step }))
        pending.push(asked.then((answers) => accepted.push(versionOf(answers))).catch(() => {}))
      }
      if (random(3) === 0) await Promise.all(pending.splice(0))
    }
    await Promise.all(pending)
    for (const { faults } of nodes) {
      Object.assign(faults, { answersLost: 0, requestsLost: 0, isCut: false })
    }
    expect(new Set(accepted).size).toBe(accepted.length)
    const { version } = await documentOf(nodeOf(nodes, 0))
    expect(Math.max(0, ...accepted)).toBeLessThanOrEqual(version)
  },
)
