import { describe, expect, test } from 'vitest'
import { createSharedRules } from '../../src/rules/shared-rules.ts'
import type { RuleStoreOptions } from '../../src/rules/rule-store.ts'
import { createTestCluster, settle } from '../cluster/state/state-fixtures.ts'
import type { TestCluster } from '../cluster/state/state-fixtures.ts'
import { createRandom } from '../helpers/random.ts'
import { openStore, payloadOf } from './rule-fixtures.ts'

const conflict = { code: 'ConflictingResourceUpdateException' }

async function joinRules(cluster: TestCluster, options: Partial<RuleStoreOptions> = {}) {
  const { state, faults, logged } = await cluster.join()
  const source = createSharedRules(state.view('rule'), state.place)
  const opened = await openStore({ ...options, watch: true, source })
  return { ...opened, state, faults, stateLog: logged }
}

async function twoNodes() {
  const cluster = createTestCluster()
  return { cluster, one: await joinRules(cluster), other: await joinRules(cluster) }
}

type Node = Awaited<ReturnType<typeof joinRules>>
const filterOf = ({ store }: Node, name: string) => store.byName(name)?.statement.topicFilter
const rulesOf = ({ store }: Node) =>
  store.all().map(({ name, payload, tags, disabled }) => ({ name, payload, tags, disabled }))
const namesOf = ({ store }: Node) => store.all().map(({ name }) => name)

/** What another release of Sluice may have written. */
async function writeText(cluster: TestCluster, name: string, text: string): Promise<void> {
  const { state } = await cluster.join()
  const view = state.view('rule')
  await view.put(name, text, view.get(name)?.revision)
  await settle()
}

test('a change at one node is in force at the others', async () => {
  const { one, other } = await twoNodes()
  await one.store.create('r', payloadOf('a/#'), { team: 'red' })
  await settle()
  expect(other.store.match('a/b').map(({ name }) => name)).toEqual(['r'])
  expect(other.store.get('r').tags).toEqual({ team: 'red' })
  await other.store.setDisabled('r', true)
  await settle()
  expect(one.store.match('a/b')).toEqual([])
  await other.store.delete('r')
  await settle()
  expect([namesOf(one), namesOf(other)]).toEqual([[], []])
  expect(other.logged).toContain('rule r was changed by another node')
  expect(one.logged).toContain('rule r was removed by another node')
})

test('a node that joins has the rules, with their tags, settings and times', async () => {
  const { cluster, one } = await twoNodes()
  const made = await one.store.create('r', payloadOf('a/#'), { team: 'red' })
  await one.store.setDelivery('r', { defaults: { ordering: 'none' } })
  const third = await joinRules(cluster)
  expect(third.store.get('r')).toMatchObject({
    createdAt: made.createdAt,
    tags: { team: 'red' },
    delivery: { defaults: { ordering: 'none' } },
  })
})

test('a client may call one node after the other, however late the watches are', async () => {
  const { one, other } = await twoNodes()
  one.faults.watchDelayMs = 50
  other.faults.watchDelayMs = 50
  await one.store.create('r', payloadOf('a'), {})
  await other.store.replace('r', payloadOf('b'))
  await one.store.setTags('r', (tags) => ({ ...tags, x: '1' }))
  await other.store.setDelivery('r', { defaults: { ordering: 'none' } })
  await one.store.replace('r', payloadOf('c'))
  await expect(other.store.create('r', payloadOf('a'), {})).rejects.toMatchObject({
    code: 'ResourceAlreadyExistsException',
  })
  expect(filterOf(other, 'r')).toBe('c')
  expect(other.store.get('r').tags).toEqual({ x: '1' })
  await one.store.delete('r')
  await expect(other.store.replace('r', payloadOf('a'))).rejects.toMatchObject({
    code: 'UnauthorizedException',
  })
})

test('of two nodes that change a rule at once, one is told that it came too late', async () => {
  const { one, other } = await twoNodes()
  await one.store.create('r', payloadOf('a'), {})
  await settle()
  const results = await Promise.allSettled([
    one.store.replace('r', payloadOf('b')),
    other.store.replace('r', payloadOf('c')),
  ])
  const refused = results.filter(({ status }) => status === 'rejected')
  expect(refused).toMatchObject([
    {
      reason: {
        ...conflict,
        message: 'rule r was changed by another node meanwhile: look at the rule, then try again',
      },
    },
  ])
  await settle()
  const filter = results[0].status === 'fulfilled' ? 'b' : 'c'
  expect([filterOf(one, 'r'), filterOf(other, 'r')]).toEqual([filter, filter])
})

test('of two nodes that create a rule at once, one is refused', async () => {
  const { one, other } = await twoNodes()
  const results = await Promise.allSettled([
    one.store.create('r', payloadOf('a'), {}),
    other.store.create('r', payloadOf('b'), {}),
  ])
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  await settle()
  expect(filterOf(one, 'r')).toBe(filterOf(other, 'r'))
})

describe('a rule that this node cannot use', () => {
  const newer = JSON.stringify({
    payload: JSON.stringify({ ...payloadOf('b'), sql: 'SELECT * FROM NEWER' }),
  })

  test('is told, and its last good version stays in force', async () => {
    const { cluster, one } = await twoNodes()
    await one.store.create('r', payloadOf('a'), {})
    await writeText(cluster, 'r', newer)
    expect(filterOf(one, 'r')).toBe('a')
    expect(one.store.invalidCount()).toBe(1)
    expect(await one.logLine(/cannot be used/)).toMatch(
      /^rule r changed by another node and cannot be used \(its last good version stays in force\): r\.json: /,
    )
    await expect(one.store.replace('r', payloadOf('c'))).rejects.toMatchObject({
      ...conflict,
      message: expect.stringMatching(
        /: this node cannot use the rule, so a node that can has to change or delete it$/,
      ) as string,
    })
  })

  test('comes into force once a node writes one that it can use', async () => {
    const { cluster, one } = await twoNodes()
    await writeText(cluster, 'r', 'no JSON')
    expect(one.store.invalidCount()).toBe(1)
    await writeText(cluster, 'r', JSON.stringify({ payload: JSON.stringify(payloadOf('b')) }))
    expect([filterOf(one, 'r'), one.store.invalidCount()]).toEqual(['b', 0])
  })

  test('stops a start, naming the cluster and the rule', async () => {
    const { cluster } = await twoNodes()
    await writeText(cluster, 'r', '{"payload": 1}')
    await expect(joinRules(cluster)).rejects.toMatchObject({
      code: 'RuleFileInvalid',
      message: 'cluster test/r: what cluster test holds of it is no rule of this release',
    })
  })
})

test('a node that is cut off keeps its rules, refuses changes, and loses none', async () => {
  const { one, other } = await twoNodes()
  await one.store.create('r', payloadOf('a'), {})
  await settle()
  other.faults.disconnect('nobody answers')
  for (const change of [
    () => other.store.create('s', payloadOf('a'), {}),
    () => other.store.replace('r', payloadOf('b')),
    () => other.store.setDelivery('t', { defaults: { ordering: 'none' } }),
    () => other.store.delete('r'),
  ]) {
    await expect(change()).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
      message: expect.stringContaining('nobody answers') as string,
    })
  }
  expect(filterOf(other, 'r')).toBe('a')
  await one.store.replace('r', payloadOf('c'))
  await one.store.create('u', payloadOf('a'), {})
  other.faults.reconnect()
  await settle()
  expect([filterOf(other, 'r'), namesOf(other)]).toEqual(['c', ['r', 'u']])
})

test('delivery settings of a rule to come wait in the cluster', async () => {
  const { one, other } = await twoNodes()
  await one.store.setDelivery('r', { defaults: { ordering: 'none' } })
  await settle()
  expect(await other.store.delivery('r')).toEqual({ defaults: { ordering: 'none' } })
  expect(namesOf(other)).toEqual([])
  const rule = await other.store.create('r', payloadOf('a'), {})
  expect(rule.delivery).toEqual({ defaults: { ordering: 'none' } })
  await one.store.setDelivery('s', { defaults: { ordering: 'none' } })
  await other.store.setDelivery('s', {})
  expect([...(await onlyKeys(one))]).toEqual(['r'])
})

async function onlyKeys({ state }: Node): Promise<readonly string[]> {
  await settle()
  return state.view('rule').names()
}

test.each(Array.from({ length: 20 }, (_, seed) => seed))(
  'nodes that change rules at once have the same rules at the end (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const cluster = createTestCluster()
    const nodes = [await joinRules(cluster), await joinRules(cluster), await joinRules(cluster)]
    const unexpected: unknown[] = []
    const pending: Promise<unknown>[] = []
    for (let step = 0; step < 60; step += 1) {
      const { store, faults } = nodes[random(3)] as Node
      const name = `r${random(3)}`
      const payload = payloadOf(`f${step}`)
      const act = random(8)
      if (act === 0) faults.disconnect()
      else if (act === 1) faults.reconnect(random(2) === 0)
      else if (act === 2) faults.answersLost = random(3)
      else {
        const change = [
          () => store.create(name, payload, {}),
          () => store.replace(name, payload),
          () => store.setTags(name, () => ({ step: String(step) })),
          () => store.setDisabled(name, random(2) === 0),
          () => store.delete(name),
        ][act - 3]
        pending.push(change?.().catch((thrown: unknown) => unexpected.push(thrown)) ?? settle())
      }
      if (random(3) === 0) await settle()
    }
    for (const { faults } of nodes) faults.reconnect()
    await Promise.all(pending)
    await settle()
    const expected = [
      'ConflictingResourceUpdateException',
      'ResourceAlreadyExistsException',
      'ServiceUnavailableException',
      'UnauthorizedException',
    ]
    const codes = unexpected.map((thrown) => (thrown as { code?: string }).code ?? thrown)
    expect(codes.filter((code) => !expected.includes(String(code)))).toEqual([])
    const [first, ...others] = nodes.map(rulesOf)
    for (const each of others) expect(each).toEqual(first)
    expect(first?.map(({ name }) => name)).toEqual(
      [...cluster.store.entries.keys()].map((key) => key.slice('rule.'.length)).toSorted(),
    )
  },
)
