import { describe, expect, test } from 'vitest'
import { keyOf, nameOfKey, stateValueBytesMax } from '../../../src/cluster/state/shared-state.ts'
import { openClusterState } from '../../../src/cluster/state/cluster-state.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createRandom } from '../../helpers/random.ts'
import { createMemoryStore } from './memory-state.ts'
import { createTestCluster, settle } from './state-fixtures.ts'
import type { TestNode } from './state-fixtures.ts'

const kind = 'rule'
const textOf = ({ state }: TestNode, name: string) => state.view(kind).get(name)?.value.toString()

/** A refusal is a result, too. */
const settled = (change: Promise<unknown>) => change.catch(() => undefined)

/** What a node holds, as one text. */
const contentOf = (node: TestNode) =>
  node.state
    .view(kind)
    .names()
    .map((name) => `${name}=${textOf(node, name)}`)
    .join(' ')

describe('keys', () => {
  test.each([
    'r',
    'a_b-C9',
    'a.b',
    'ä/ö',
    '=41',
    '..',
    'x'.repeat(128),
    '\u{1f600}',
    'cert:1',
    ' ',
  ])('the name %j comes back from its key, which NATS allows', (name) => {
    const key = keyOf(kind, name)
    expect(key).toMatch(/^[-/_=.a-zA-Z0-9]+$/)
    expect(key).not.toMatch(/\.$/)
    expect(nameOfKey(kind, key)).toBe(name)
  })

  test('keys that no name has are no names', () => {
    const others = ['rule', 'rule.', 'rule.=41', 'rule.=c3', 'rule.=4', 'rule.a.b', 'key.a']
    expect(others.map((key) => nameOfKey(kind, key))).toEqual(others.map(() => undefined))
  })

  test('a name that is empty, too long or no text is refused', () => {
    for (const name of ['', 'x'.repeat(2_100), '\ud800']) {
      expect(() => keyOf(kind, name)).toThrow('cannot be a name in the state of a cluster')
    }
  })
})

test('what one node writes, another one has within its turn', async () => {
  const cluster = createTestCluster()
  const [one, other] = [await cluster.join(), await cluster.join()]
  const told: string[] = []
  other.state.view(kind).onChange((name) => told.push(name))
  const made = await one.state.view(kind).put('a.b', 'first', undefined)
  expect(textOf(one, 'a.b')).toBe('first')
  await settle()
  expect(textOf(other, 'a.b')).toBe('first')
  expect(await other.state.view(kind).remove('a.b', made?.revision ?? 0)).toBe(true)
  await settle()
  expect(contentOf(one)).toBe('')
  expect(told).toEqual(['a.b', 'a.b'])
  expect((await cluster.join()).state.view(kind).names()).toEqual([])
})

test('of two writers of one revision, one is refused', async () => {
  const cluster = createTestCluster()
  const [one, other] = [await cluster.join(), await cluster.join()]
  const revision = (await one.state.view(kind).put('a', '0', undefined))?.revision
  const written = await Promise.all(
    [one, other].map(({ state }, index) => state.view(kind).put('a', String(index + 1), revision)),
  )
  expect(written.filter((entry) => entry !== undefined)).toHaveLength(1)
  expect(await one.state.view(kind).put('a', 'x', undefined)).toBeUndefined()
  expect(await one.state.view(kind).remove('a', revision ?? 0)).toBe(false)
  await settle()
  expect(contentOf(one)).toBe('a=1')
  expect(contentOf(other)).toBe('a=1')
})

test('a node that caught up has what others wrote before, however late the watch tells', async () => {
  const clock = createManualClock()
  const cluster = createTestCluster(clock)
  const [one, other] = [await cluster.join(), await cluster.join()]
  other.faults.watchDelayMs = 900
  await one.state.view(kind).put('a', '1', undefined)
  let hasCaughtUp = false
  const caughtUp = other.state
    .view(kind)
    .caughtUp()
    .then(() => (hasCaughtUp = true))
  await settle()
  expect([hasCaughtUp, contentOf(other)]).toEqual([false, ''])
  clock.advance(900)
  await caughtUp
  expect(contentOf(other)).toBe('a=1')
})

test('a node that is not told of changes refuses after five seconds', async () => {
  const clock = createManualClock()
  const cluster = createTestCluster(clock)
  const [one, other] = [await cluster.join(), await cluster.join()]
  other.faults.watchDelayMs = 60_000
  await one.state.view(kind).put('a', '1', undefined)
  const caughtUp = other.state.view(kind).caughtUp()
  await settle()
  clock.advance(5_000)
  await expect(caughtUp).rejects.toMatchObject({ code: 'ServiceUnavailableException' })
})

describe('a store that cannot be reached', () => {
  test('leaves what is there, refuses changes and says why, and loses none', async () => {
    const cluster = createTestCluster()
    const [one, other] = [await cluster.join(), await cluster.join()]
    const view = other.state.view(kind)
    await one.state.view(kind).put('a', '1', undefined)
    await settle()
    other.faults.disconnect('nobody answers')
    expect(other.state.lostReason()).toBe('nobody answers')
    const refusal = {
      code: 'ServiceUnavailableException',
      message:
        'the state of the cluster cannot be read or changed now: nobody answers; ' +
        'what is in force stays',
    }
    await expect(view.put('b', '1', undefined)).rejects.toMatchObject(refusal)
    await expect(view.remove('a', 1)).rejects.toMatchObject(refusal)
    await expect(view.caughtUp()).rejects.toMatchObject(refusal)

    await one.state.view(kind).put('a', '2', 1)
    await one.state.view(kind).put('c', '1', undefined)
    await settle()
    expect(contentOf(other)).toBe('a=1')
    other.faults.reconnect()
    await settle()
    expect(contentOf(other)).toBe('a=2 c=1')
    expect(other.logged).toEqual([
      'the state of cluster test cannot be reached: what is in force stays, and changes are ' +
        'refused until it can',
      'the state of cluster test can be reached again',
    ])
  })

  test('after a gap that nobody kept, what was removed meanwhile goes', async () => {
    const cluster = createTestCluster()
    const [one, other] = [await cluster.join(), await cluster.join()]
    const view = one.state.view(kind)
    const made = await view.put('a', '1', undefined)
    await view.put('b', '1', undefined)
    await settle()
    other.faults.disconnect()
    await view.remove('a', made?.revision ?? 0)
    await view.put('c', '1', undefined)
    const told: string[] = []
    other.state.view(kind).onChange((name) => told.push(name))
    other.faults.reconnect(true)
    await settle()
    expect(contentOf(other)).toBe('b=1 c=1')
    expect(told.toSorted()).toEqual(['a', 'c'])
  })

  test('that was made anew, with lower revisions, is taken as it is', async () => {
    const cluster = createTestCluster()
    const [one, other] = [await cluster.join(), await cluster.join()]
    const view = one.state.view(kind)
    const made = await view.put('a', '1', undefined)
    await view.put('a', '2', made?.revision)
    await view.put('b', '1', undefined)
    await settle()
    cluster.store.makeAnew()
    await settle()
    expect(contentOf(other)).toBe('')
    await view.put('a', '3', undefined)
    await settle()
    expect([contentOf(one), contentOf(other)]).toEqual(['a=3', 'a=3'])
  })

  test('keeps a start waiting, which says so, until its signal ends it', async () => {
    const clock = createManualClock()
    const connection = createMemoryStore(clock).connect()
    connection.faults.disconnect('no server')
    const logged: string[] = []
    const logger = createMemoryLogger((line) => logged.push(String(line['msg'])))
    const ending = new AbortController()
    const opening = openClusterState(
      { state: connection, clock, logger },
      { place: 'cluster test', signal: ending.signal },
    )
    await settle()
    clock.advance(2_000)
    expect(logged).toContain('the start waits for the state of cluster test')
    ending.abort()
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('a write whose answer is lost', () => {
  test('is made once', async () => {
    const cluster = createTestCluster()
    const node = await cluster.join()
    const view = node.state.view(kind)
    node.faults.answersLost = 1
    const made = await view.put('a', '1', undefined)
    node.faults.answersLost = 2
    const changed = await view.put('a', '2', made?.revision)
    expect(changed?.revision).toBe(2)
    node.faults.answersLost = 1
    expect(await view.remove('a', changed?.revision ?? 0)).toBe(true)
    expect(await cluster.store.connect().lastRevision()).toBe(3)
  })

  test('is made when its request was lost before', async () => {
    const node = await createTestCluster().join()
    node.faults.requestsLost = 2
    expect(await node.state.view(kind).put('a', '1', undefined)).toMatchObject({ revision: 1 })
  })

  test('is not told as made when another node was first', async () => {
    const cluster = createTestCluster()
    const [one, other] = [await cluster.join(), await cluster.join()]
    one.faults.requestsLost = 1
    const late = one.state.view(kind).put('a', 'one', undefined)
    await other.state.view(kind).put('a', 'other', undefined)
    expect(await late).toBeUndefined()
  })

  test('that stays unknown says so', async () => {
    const node = await createTestCluster().join()
    node.faults.answersLost = 3
    const put = node.state.view(kind).put('a', '1', undefined)
    // The third attempt finds what the first one wrote.
    expect(await put).toMatchObject({ revision: 1 })
    node.faults.requestsLost = 3
    await expect(node.state.view(kind).put('b', '1', undefined)).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
      message: expect.stringContaining('it is not known whether the change was made') as string,
    })
  })
})

test('a value that is too large is refused with its size', async () => {
  const node = await createTestCluster().join()
  const large = 'x'.repeat(stateValueBytesMax + 1)
  await expect(node.state.view(kind).put('a', large, undefined)).rejects.toMatchObject({
    code: 'InvalidRequestException',
    message: `rule.a has ${large.length} bytes: the state of a cluster takes at most ${stateValueBytesMax}`,
  })
})

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  'three nodes under faults end with what the store holds, and go back on no key (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const clock = createManualClock()
    const cluster = createTestCluster(clock)
    const nodes = [await cluster.join(), await cluster.join(), await cluster.join()]
    const backwards: string[] = []
    for (const { state } of nodes) {
      const newest = new Map<string, number>()
      state.view(kind).onChange((name) => {
        const revision = state.view(kind).get(name)?.revision
        if (revision === undefined) return
        if (revision < (newest.get(name) ?? 0)) backwards.push(name)
        newest.set(name, revision)
      })
    }
    const pending: Promise<unknown>[] = []
    for (let step = 0; step < 150; step += 1) {
      const { state, faults } = nodes[random(3)] as TestNode
      const view = state.view(kind)
      const name = `r${random(4)}`
      const revision = view.get(name)?.revision
      const act = random(10)
      if (act === 0) faults.disconnect()
      else if (act === 1) faults.reconnect(random(2) === 0)
      else if (act === 2) faults.watchDelayMs = random(3) * 40
      else if (act === 3) faults.answersLost = random(3)
      else if (act === 4) faults.requestsLost = random(3)
      else if (act === 5 && revision !== undefined)
        pending.push(settled(view.remove(name, revision)))
      else pending.push(settled(view.put(name, String(step), revision)))
      if (random(2) === 0) await settle()
      clock.advance(random(30))
    }
    for (const { faults } of nodes) {
      Object.assign(faults, { answersLost: 0, requestsLost: 0 })
      faults.reconnect()
    }
    for (let turn = 0; turn < 20; turn += 1) {
      await settle()
      clock.advance(500)
    }
    await Promise.all(pending)
    await settle()
    const stored = [...cluster.store.entries.values()]
      .map(({ key, value }) => `${nameOfKey(kind, key)}=${value.toString()}`)
      .toSorted()
      .join(' ')
    expect(nodes.map(contentOf)).toEqual([stored, stored, stored])
    expect(backwards).toEqual([])
  },
)
