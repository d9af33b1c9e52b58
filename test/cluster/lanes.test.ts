import { describe, expect, test } from 'vitest'
import { laneOf } from '../../src/cluster/lanes/lane-of.ts'
import { decodeLetter } from '../../src/cluster/lanes/letter-codec.ts'
import { laneCount } from '../../src/cluster/log/replicated-log.ts'
import { noDestination } from '../../src/outbox/outbox.ts'
import { createRandom } from '../helpers/random.ts'
import { noFaults } from './memory-log.ts'
import { createCluster, strictRecord } from './open-cluster.ts'
import type { Cluster } from './open-cluster.ts'

const leaseAndMoreMs = 15_000

/** A cluster in which everything goes well, and its first nodes. */
async function openCluster(
  nodeCount: number,
  options: { readonly readAheadBytesMax?: number; readonly letterBytesMax?: number } = {},
): Promise<Cluster> {
  const cluster = createCluster(createRandom(1), options)
  for (let index = 0; index < nodeCount; index++) await cluster.add(noFaults)
  await cluster.move(3_000)
  return cluster
}

/** Waits until the log has nothing left, and hands everything over. */
async function finish(cluster: Cluster): Promise<void> {
  await cluster.moveUntilEmpty()
  cluster.checkLag()
  await cluster.end()
  expect(cluster.findings).toEqual([])
}

const letters = ({ servers }: Cluster) =>
  servers.deadLettersAfter(0, 1_000).map(({ data }) => decodeLetter(data))

describe('lanes', () => {
  test('the lane of a key is the same in all releases', () => {
    expect(['', 'a', 'device-1', 'device-2', 'ключ'].map(laneOf)).toMatchInlineSnapshot(`
      [
        9,
        3,
        8,
        0,
        8,
      ]
    `)
    const counts = Array.from({ length: laneCount }, () => 0)
    for (let key = 0; key < 1_600; key++) {
      const lane = laneOf(`device-${key}`)
      counts[lane] = (counts[lane] ?? 0) + 1
    }
    expect(Math.min(...counts)).toBeGreaterThan(50)
    expect(Math.max(...counts)).toBeLessThan(150)
  })

  test('are shared out evenly, and move when a node comes, goes or dies', async () => {
    const cluster = await openCluster(3)
    const counts = () => cluster.nodes.map(({ lanes }) => lanes.owned().length)
    expect(counts().toSorted((left, right) => left - right)).toEqual([5, 5, 6])
    const [count] = counts()
    expect(await cluster.nodes[0]?.metricsText()).toContain(`sluice_lanes_owned ${count}\n`)
    const [first, second] = cluster.nodes
    cluster.forget(first)
    const stopped = first?.stop()
    await cluster.move(1_000)
    expect(counts()).toEqual([8, 8])
    await cluster.moveUntil(stopped ?? Promise.resolve())
    cluster.forget(second)
    void second?.kill()
    await cluster.move(leaseAndMoreMs)
    expect(counts()).toEqual([16])
    await finish(cluster)
  })

  test('say when the log has been silent, and when it speaks again', async () => {
    const cluster = await openCluster(1)
    const isLost = () => cluster.nodes[0]?.lanes.isLost()
    expect(isLost()).toBe(false)
    cluster.network.hasLeader = false
    await cluster.move(7_000)
    expect(isLost()).toBe(true)
    cluster.network.hasLeader = true
    await cluster.move(5_000)
    expect(isLost()).toBe(false)
    await finish(cluster)
  })

  test('are not delivered by a node that wakes after its lease', async () => {
    const cluster = await openCluster(2)
    const { streams, nodes } = cluster
    streams.stuck.add('one')
    const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)
    for (const node of nodes) {
      const appended = keys.map((key) => cluster.append(node, [strictRecord('one', key, '1')]))
      await cluster.moveUntil(Promise.all(appended))
    }
    await cluster.move(1_000)
    const [sleeper] = nodes
    sleeper?.clock.freeze()
    await cluster.move(60_000)
    streams.stuck.clear()
    await cluster.move(10_000)
    const arrived = streams.arrivals.length
    expect(arrived).toBe(2 * keys.length)
    sleeper?.clock.thaw()
    await cluster.move(10_000)
    expect(streams.arrivals).toHaveLength(arrived)
    cluster.checkShares()
    await finish(cluster)
  })
})

describe('a destination that fails', () => {
  test('delays no other, and catches up in order', async () => {
    const cluster = await openCluster(1, { readAheadBytesMax: 20_000 })
    const { nodes, streams } = cluster
    const [node] = nodes
    streams.stuck.add('two')
    const count = 60
    for (let number = 0; number < count; number++) {
      const records = ['one', 'two'].map((to) => strictRecord(to, 'key', `good ${number}`))
      if (node) await cluster.moveUntil(cluster.append(node, records))
    }
    await cluster.move(30_000)
    const textsOf = (name: string) =>
      streams.arrivals.filter(({ streamName }) => streamName === name).map(({ text }) => text)
    const all = Array.from({ length: count }, (_, number) => `good ${number}`)
    expect(textsOf('one')).toEqual(all)
    expect(textsOf('two')).toEqual([])
    expect(cluster.servers.chunks().length).toBeGreaterThan(count / 2)
    // Also those that the node could not read ahead.
    expect(node?.lanes.lag().get(laneOf('key'))).toBe(count)
    streams.stuck.clear()
    await finish(cluster)
    expect(textsOf('two')).toEqual(all)
  })
})

describe('a full log', () => {
  test('makes publishers wait, and takes what replaces its records', async () => {
    const cluster = await openCluster(2)
    const { nodes, streams, servers } = cluster
    const [node] = nodes
    streams.stuck.add('one')
    const bad = [strictRecord('one', 'key', 'bad 0')]
    if (node) await cluster.moveUntil(cluster.append(node, bad))
    servers.isFull = true
    const outcomes = nodes.map((each) => cluster.append(each, [strictRecord('two', 'k', 'good 1')]))
    await cluster.move(5_000)
    expect(nodes.map(({ lanes }) => lanes.outbox.troubles.isFull())).toEqual([true, true])
    expect(streams.arrivals).toEqual([])
    // Its error action has the record, which no room was for.
    streams.stuck.clear()
    await cluster.move(15_000)
    expect(cluster.ledger()).toMatchObject({ handedOver: 1 })
    expect(servers.chunks()).toEqual([])
    servers.isFull = false
    await cluster.moveUntil(Promise.all(outcomes))
    await finish(cluster)
    expect(nodes.map(({ lanes }) => lanes.outbox.troubles.isFull())).toEqual([false, false])
  })
})

describe('dead letters', () => {
  test('an action that failed is one, once', async () => {
    const cluster = await openCluster(2)
    const [node] = cluster.nodes
    const failed = { code: 'ActionFailed', message: 'no topic', field: 'actions[0]' }
    const record = { ...strictRecord('', '', 'payload'), destination: noDestination, failed }
    if (node) await cluster.moveUntil(cluster.append(node, [record, strictRecord('one', 'k', 'x')]))
    await cluster.moveUntilEmpty()
    expect(letters(cluster).map((letter) => letter?.kind)).toEqual(['deadLetter'])
    await cluster.move(5_000)
    expect(cluster.ledger()).toMatchObject({ accepted: 2, delivered: 1, deadLettered: 1 })
    await finish(cluster)
  })

  test('the oldest ones are dropped when they take too many bytes', async () => {
    const bytesMax = 8_000
    const cluster = await openCluster(2, { letterBytesMax: bytesMax })
    const [node] = cluster.nodes
    const count = 120
    for (let number = 1; number < 2 * count; number += 2) {
      const record = strictRecord('one', `key-${number % 32}`, `bad ${number}`)
      if (node) await cluster.moveUntil(cluster.append(node, [record]))
    }
    await cluster.moveUntilEmpty()
    await cluster.move(10_000)
    const kept = letters(cluster)
    const bytes = cluster.servers
      .deadLettersAfter(0, 1_000)
      .reduce((sum, { data }) => sum + data.length, 0)
    expect(bytes).toBeLessThanOrEqual(bytesMax)
    expect(bytes).toBeGreaterThan(bytesMax / 2)
    expect(node?.lanes.deadLetterBytes()).toBe(bytes)
    const dropped = count - kept.length
    expect(cluster.ledger()).toMatchObject({ deadLettered: kept.length, dropped })
    // The last one is there, and what is dropped came before what is kept, lane by lane.
    const numbers = kept.map((letter) =>
      Number(/bad (\d+)/.exec(Buffer.from(letter?.value ?? []).toString('latin1'))?.[1]),
    )
    expect(numbers).toContain(2 * count - 1)
    await finish(cluster)
  })

  test('a damaged chunk is one as it was, and a line says what to do', async () => {
    const cluster = await openCluster(1)
    const data = Buffer.from('no chunk')
    cluster.servers.append([{ lane: 3, destination: 'somewhere', data }])
    await cluster.moveUntilEmpty()
    expect(letters(cluster)).toEqual([
      { kind: 'damagedChunk', destination: 'somewhere', value: data },
    ])
    const [node] = cluster.nodes
    expect(node?.lanes.damagedChunks()).toBe(1)
    expect(node?.lines.map(({ msg }) => msg)).toEqual([
      expect.stringContaining('check the disks of the NATS servers'),
    ])
    await finish(cluster)
  })
})

/** Five records that no stream takes; those with even numbers go to the error action. */
async function openWithLetters(): Promise<Cluster> {
  const cluster = await openCluster(2)
  const [node] = cluster.nodes
  for (let number = 0; number < 10; number++) {
    const record = strictRecord('one', `key-${number}`, `bad ${number}`)
    if (node) await cluster.moveUntil(cluster.append(node, [record]))
  }
  await cluster.moveUntilEmpty()
  await cluster.move(3_000)
  return cluster
}

describe('operators', () => {
  test('any node lists the dead letters of all lanes, page by page', async () => {
    const cluster = await openWithLetters()
    const keys: (string | undefined)[] = []
    let nextToken: string | undefined
    do {
      const [, node] = cluster.nodes
      const listed = node?.lanes.deadLetters.list({ nextToken, maxResults: 2 })
      const page = await cluster.answerOf(listed ?? Promise.reject(new Error('no node')))
      keys.push(...page.deadLetters.map(({ partitionKey }) => partitionKey))
      nextToken = page.nextToken
    } while (nextToken !== undefined)
    expect(new Set(keys)).toEqual(new Set(['key-1', 'key-3', 'key-5', 'key-7', 'key-9']))
    expect(keys).toHaveLength(5)
    await finish(cluster)
  })

  test('the owners of their lanes replay and delete them, each once', async () => {
    const cluster = await openWithLetters()
    const { streams, nodes } = cluster
    expect(cluster.ledger()).toMatchObject({ accepted: 15, deadLettered: 5 })
    streams.takesBad = true
    const replays = nodes.flatMap(({ lanes }) =>
      [1, 2].map(() => lanes.deadLetters.replay({ ids: [idOf(cluster, 'key-1')] }, 'asIs')),
    )
    const replayed = await cluster.answerOf(Promise.all(replays))
    expect(replayed.reduce((sum, { count }) => sum + count, 0)).toBe(1)
    await cluster.moveUntilEmpty()
    expect(streams.arrivals.filter(({ text }) => text === 'bad 1')).toHaveLength(1)
    const deleted = await cluster.answerOf(
      Promise.all(nodes.map(({ lanes }) => lanes.deadLetters.delete({}))),
    )
    expect(deleted.reduce((sum, { count }) => sum + count, 0)).toBe(4)
    await cluster.move(3_000)
    expect(letters(cluster)).toEqual([])
    expect(cluster.ledger()).toMatchObject({ accepted: 15, deadLettered: 0, dropped: 4 })
    const [node] = nodes
    expect(node?.lanes.ledger('telemetry')).toEqual([
      { actionIndex: 0, ...cluster.ledger(), handedOver: 5, delivered: 11 },
    ])
    expect(node?.lanes.deadLetterBytes()).toBe(0)
    expect(node?.lanes.bytes()).toBe(0)
    await finish(cluster)
  })
})

function idOf({ servers }: Cluster, key: string): string {
  const found = servers
    .deadLettersAfter(0, 1_000)
    .find(({ data }) => Buffer.from(data).toString('latin1').includes(key))
  return String(found?.sequence)
}
