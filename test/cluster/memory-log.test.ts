import { expect, test } from 'vitest'
import { LaneLostError, LogFullError } from '../../src/cluster/log/replicated-log.ts'
import type {
  ReplicatedLog,
  StoredChunk,
  Watermarks,
} from '../../src/cluster/log/replicated-log.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { moveClockUntil } from '../helpers/move-clock.ts'
import { createRandom } from '../helpers/random.ts'
import { createMemoryLog, noFaults } from './memory-log.ts'
import type { LinkFaults } from './memory-log.ts'
import { createMemoryServers } from './memory-servers.ts'
import { createNodeClock } from './node-clock.ts'

const everything: LinkFaults = {
  requestLost: 100,
  answerLost: 300,
  twice: 300,
  late: 300,
  refused: 0,
}

function openCluster(seed = 1) {
  const clock = createManualClock()
  const servers = createMemoryServers()
  const network = { hasLeader: true }
  const random = createRandom(seed)
  return {
    servers,
    network,
    clock,
    node: (faults: LinkFaults = noFaults) => {
      const link = { isPartitioned: false, faults }
      const nodeClock = createNodeClock(clock)
      const log = createMemoryLog({ servers, network, link, clock, nodeClock, random })
      return { log, link, nodeClock }
    },
    settled: async <Result>(work: Promise<Result>): Promise<Result> => {
      await moveClockUntil(
        clock,
        work.catch(() => undefined),
      )
      return work
    },
  }
}

const chunk = (lane: number, destination: string, text: string) => ({
  lane,
  destination,
  data: Buffer.from(text),
})

const textOf = ({ data }: { readonly data: Uint8Array }) => Buffer.from(data).toString()

/** Reads until there are as many chunks. */
async function readSome(
  log: ReplicatedLog,
  count: number,
  { after = {}, destination }: { readonly after?: Watermarks; readonly destination?: string } = {},
): Promise<StoredChunk[]> {
  const found: StoredChunk[] = []
  const ending = new AbortController()
  for await (const stored of log.read(3, after, ending.signal, destination)) {
    found.push(stored)
    if (found.length === count) ending.abort()
  }
  return found
}

test('each chunk is stored once, in the order of calls, whatever the network does', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { node, settled } = openCluster(seed)
    const { log } = node(everything)
    const texts = Array.from({ length: 10 }, (_, index) => String(index))
    await settled(Promise.all(texts.map((text) => log.append([chunk(3, 'a', text)]))))
    const found = await settled(readSome(log, texts.length))
    expect(found.map(textOf)).toEqual(texts)
  }
})

test('a refused append leaves nothing, and later ones are taken', async () => {
  const { node, servers, settled } = openCluster()
  const { log } = node()
  servers.isFull = true
  await expect(settled(log.append([chunk(3, 'a', 'x')]))).rejects.toThrow(LogFullError)
  servers.isFull = false
  await settled(log.append([chunk(3, 'a', 'y'), chunk(4, 'a', 'z')]))
  expect(servers.chunks().map(textOf)).toEqual(['y', 'z'])
})

test('of two writers of one revision one loses, also when its answer was lost', async () => {
  const { node, settled } = openCluster()
  const [one, two] = [node(everything), node(everything)]
  const write = ({ log }: typeof one, text: string) =>
    log.writeProgress({ lane: 3, revision: 0, data: Buffer.from(text) }, [Buffer.from(text)])
  const answers = await settled(Promise.allSettled([write(one, 'one'), write(two, 'two')]))
  const won = answers.findIndex(({ status }) => status === 'fulfilled')
  const [lost] = answers.filter(({ status }) => status === 'rejected')
  expect((lost as PromiseRejectedResult).reason).toBeInstanceOf(LaneLostError)
  const { data, revision } = await settled(one.log.progress(3))
  expect(Buffer.from(data).toString()).toBe(['one', 'two'][won])
  const letters = await settled(two.log.deadLetters(0, 10))
  expect(letters.map(textOf)).toEqual([['one', 'two'][won]])
  expect(letters[0]?.sequence).toBeLessThan(revision)
})

test('chunks are read after the watermark of their destination, and may be forgotten', async () => {
  const { node, servers, settled } = openCluster()
  const { log } = node()
  for (const text of ['a1', 'b1', 'a2', 'b2']) {
    await settled(log.append([chunk(3, text.slice(0, 1), text)]))
  }
  const [first] = servers.chunks()
  const after = { a: first?.sequence ?? 0 }
  expect((await settled(readSome(log, 3, { after }))).map(textOf)).toEqual(['b1', 'a2', 'b2'])
  const ofOne = await settled(readSome(log, 2, { destination: 'b' }))
  expect(ofOne.map(textOf)).toEqual(['b1', 'b2'])
  await settled(log.forget(3, after))
  expect(servers.chunks().map(textOf)).toEqual(['b1', 'a2', 'b2'])
})

test('a node behind a partition waits, and goes on after it', async () => {
  const { node, network, clock, settled } = openCluster()
  const [one, two] = [node(), node()]
  one.link.isPartitioned = true
  const appended = one.log.append([chunk(3, 'a', 'late')])
  await settled(two.log.append([chunk(3, 'a', 'early')]))
  await settled(clock.sleep(5_000))
  one.link.isPartitioned = false
  network.hasLeader = false
  const elected = clock.sleep(5_000).then(() => Object.assign(network, { hasLeader: true }))
  await settled(Promise.all([appended, elected]))
  expect((await settled(readSome(two.log, 2))).map(textOf)).toEqual(['early', 'late'])
})

test('progress and nodes are seen by all who watch', async () => {
  const { node, settled, clock } = openCluster()
  const [one, two] = [node(), node(everything)]
  const ending = new AbortController()
  const seen: string[] = []
  two.log.watchProgress(({ lane, data }) => seen.push(`${lane} ${textOf({ data })}`), ending.signal)
  two.log.watchNodes(({ node: name, data }) => {
    seen.push(data === undefined ? `${name} goes` : `${name} lives`)
  }, ending.signal)
  await settled(one.log.writeProgress({ lane: 3, revision: 0, data: Buffer.from('mine') }))
  await settled(one.log.announce('one', Buffer.from('')))
  await settled(clock.sleep(20_000))
  await settled(one.log.announce('one', undefined))
  await settled(clock.sleep(20_000))
  ending.abort()
  expect(seen).toEqual(['3 mine', 'one lives', 'one goes'])
})

test('a frozen node gets its answers when it wakes, and a closed log none', async () => {
  const { node, clock, settled } = openCluster()
  const { log, nodeClock } = node()
  const seen: string[] = []
  const stored = log.append([chunk(3, 'a', 'x')]).then(() => seen.push('stored'))
  nodeClock.freeze()
  await settled(clock.sleep(5_000))
  expect(seen).toEqual([])
  nodeClock.thaw()
  await settled(stored)
  nodeClock.freeze()
  const [refused] = await Promise.allSettled([log.append([chunk(3, 'a', 'y')]), log.close()])
  expect(refused.status).toBe('rejected')
})
