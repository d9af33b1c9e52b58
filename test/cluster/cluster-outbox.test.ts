/** The managed outbox of a cluster, on the log in memory. */
import { describe, expect, test } from 'vitest'
import { createClusterOutbox } from '../../src/cluster/operators/cluster-outbox.ts'
import { NoAnswerError } from '../../src/cluster/operators/node-requests.ts'
import type {
  NodeAnswer,
  NodeRequest,
  NodeRequests,
} from '../../src/cluster/operators/node-requests.ts'
import type { DeadLetter, NewRecord, Outbox } from '../../src/outbox/outbox.ts'
import { createRandom } from '../helpers/random.ts'
import { everything, givenUp } from '../outbox/outbox-parts.ts'
import {
  expectMovedOnce,
  expectOverviewFits,
  expectStablePages,
} from '../outbox/managed-outbox-promises.ts'
import type { ManagedSubject } from '../outbox/managed-outbox-promises.ts'
import { noFaults } from './memory-log.ts'
import { createCluster, strictRecord } from './open-cluster.ts'
import type { Cluster } from './open-cluster.ts'

const settledMs = 3_000
const limits = {
  bytesMax: 1,
  destinationBytesMax: 1,
  destinationsMax: 1,
  deadLetterBytesMax: 1,
} satisfies Outbox['limits']

function recordOf(text: string, ruleName: string): NewRecord {
  return { ...strictRecord(`of-${ruleName}`, text, text), ruleName }
}

/** What a rule makes again: the same record, or nothing. */
const engine = {
  replay: async ({ data, ruleName }: DeadLetter) => {
    const text = data.toString()
    return text.endsWith('3') ? undefined : { records: [recordOf(text, ruleName)], messages: [] }
  },
  distribute: async () => {},
}

/** Requests between the nodes of one process. A node that is frozen does not answer. */
function createRequests() {
  const answers = new Map<string, (request: NodeRequest) => Promise<NodeAnswer>>()
  const silent = new Set<string>()
  const requests: NodeRequests = {
    async ask(node, request) {
      const answer = answers.get(node)
      if (answer === undefined) throw new NoAnswerError('nobody', { isUnheard: true })
      if (silent.has(node)) throw new NoAnswerError('timeout', { isUnheard: false })
      return JSON.parse(JSON.stringify(await answer(JSON.parse(JSON.stringify(request)))))
    },
    serve(node, answer) {
      answers.set(node, answer)
      return () => void answers.delete(node)
    },
  }
  return { requests, silent }
}

/** Nodes that deliver nothing by themselves, and a clock that moves while they work. */
async function openNodes(count: number) {
  const cluster = createCluster(createRandom(1))
  cluster.streams.stuck.add('of-first').add('of-second')
  for (let index = 0; index < count; index++) await cluster.add(noFaults)
  const { requests, silent } = createRequests()
  const managed = cluster.nodes.map(({ lanes, clock }) => {
    const made = createClusterOutbox({
      lanes,
      outbox: lanes.outbox,
      requests,
      clock,
      limits,
      engine,
      deliveryOf: () => undefined,
    })
    const stopServing = made.serve()
    return { ...made, stopServing }
  })
  await cluster.move(settledMs)
  return { cluster, managed, silent }
}

/** Moves the clock until it is told to stop. */
function keepMoving(cluster: Cluster): () => Promise<void> {
  const state = { isOver: false }
  const moved = (async () => {
    while (!state.isOver) await cluster.move(1)
  })()
  return async () => {
    state.isOver = true
    await moved
  }
}

async function openSubject(): Promise<ManagedSubject> {
  const { cluster, managed } = await openNodes(2)
  const [asked] = managed
  if (asked === undefined) throw new Error('no node')
  const stop = keepMoving(cluster)
  /** What was appended has been read by the owners of the lanes, and what they did is written. */
  const settled = () => cluster.clock.sleep(settledMs)
  const records = () =>
    cluster.nodes.flatMap(({ lanes: { outbox } }) =>
      outbox.destinations().map(({ id }) => ({ outbox, id, all: outbox.read(id, 0, everything) })),
    )
  return {
    managed: asked,
    async accept(texts, ruleName) {
      const { lanes } = cluster.nodes[1] ?? {}
      await Promise.all(texts.map(async (text) => lanes?.outbox.append([recordOf(text, ruleName)])))
      await settled()
    },
    async giveUp(texts) {
      for (const { outbox, id, all } of records()) {
        const chosen = all.filter(({ data }) => texts.includes(data.toString()))
        if (chosen.length > 0)
          await outbox.giveUp(
            id,
            chosen.map((record) => givenUp(record)),
          )
      }
      await settled()
    },
    async waiting() {
      await settled()
      return records().flatMap(({ all }) => all.map(({ data }) => data.toString()))
    },
    async close() {
      await stop()
      expect(cluster.findings).toEqual([])
    },
  }
}

describe('the managed outbox of a cluster', () => {
  test('lists dead letters in pages that stay right while others come and go', async () => {
    await expect(expectStablePages(openSubject, 4)).resolves.toBeUndefined()
  })

  test('moves each dead letter once, however many ask at the same time', async () => {
    await expect(expectMovedOnce(openSubject, 6)).resolves.toBeUndefined()
  })

  test('asks again when the node of a lane is gone, and says when it does not answer', async () => {
    const { cluster, managed, silent } = await openNodes(3)
    const [node, silentNode, dying] = cluster.nodes
    const stop = keepMoving(cluster)
    const texts = Array.from({ length: 40 }, (_, index) => `${index}0`)
    await Promise.all(
      texts.map(async (text) => node?.lanes.outbox.append([recordOf(text, 'first')])),
    )
    await cluster.clock.sleep(settledMs)
    for (const { lanes } of cluster.nodes) {
      for (const { id } of lanes.outbox.destinations()) {
        const all = lanes.outbox.read(id, 0, everything)
        await lanes.outbox.giveUp(
          id,
          all.map((record) => givenUp(record)),
        )
      }
    }
    await cluster.clock.sleep(settledMs)
    silent.add(silentNode?.name ?? '')
    await expect(managed[0]?.deadLetters.delete({})).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
      message: expect.stringContaining(`node ${silentNode?.name}`) as string,
    })
    silent.clear()
    cluster.forget(dying)
    void dying?.kill()
    managed[2]?.stopServing()
    await managed[0]?.deadLetters.delete({})
    expect(await managed[1]?.deadLetters.list()).toEqual({ deadLetters: [] })
    await cluster.clock.sleep(settledMs)
    for (const each of managed.slice(0, 2)) await expectOverviewFits(each)
    expect((await managed[1]?.overview())?.ledger).toMatchObject({ accepted: 40, dropped: 40 })
    await stop()
    expect(cluster.findings).toEqual([])
  })
})
