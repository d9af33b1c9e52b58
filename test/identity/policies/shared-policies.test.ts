import { describe, expect, onTestFinished, test } from 'vitest'
import { openPolicyFolder } from '../../../src/identity/policies/policy-folder.ts'
import { createPolicyStore } from '../../../src/identity/policies/policy-store.ts'
import {
  createSharedPolicies,
  createSharedScope,
} from '../../../src/identity/policies/shared-policies.ts'
import { createTestCluster, settle } from '../../cluster/state/state-fixtures.ts'
import type { TestCluster } from '../../cluster/state/state-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createWatchedLog } from '../identity-fixtures.ts'

const allowing = (action: string) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }],
  })
const certificate = `cert:${'a'.repeat(64)}` as const

/** A node with the operations on policies, and what it enforces. */
async function joinPolicies(cluster: TestCluster) {
  const { state, faults } = await cluster.join()
  const views = { policies: state.view('policy'), scope: state.view('policies') }
  const records = createSharedPolicies({ ...views, place: state.place })
  const scope = createSharedScope(views.scope)
  const log = createWatchedLog()
  const folder = await openPolicyFolder(log, { directory: '', records, scope })
  onTestFinished(() => folder.close())
  onTestFinished(views.policies.onChange(() => void folder.reload()))
  onTestFinished(views.scope.onChange(() => void folder.reload()))
  const store = createPolicyStore(
    {
      clock: createManualClock(),
      arnOf: (resource) => `arn:aws:iot:eu-central-1:123456789012:${resource}`,
      reload: () => folder.reload(),
      onFolderMade: () => scope.narrow(),
    },
    records,
  )
  const decides = (action: string, target: Parameters<typeof store.attach>[1] = certificate) =>
    folder.policies.current?.policyOf(target, true)?.decide({ action, resource: '*' })
  return { store, folder, scope, decides, faults, log }
}

async function twoNodes() {
  const cluster = createTestCluster()
  return { cluster, one: await joinPolicies(cluster), other: await joinPolicies(cluster) }
}

test('a policy that one node makes and attaches is enforced by the others', async () => {
  const { one, other } = await twoNodes()
  expect(other.folder.policies.current).toBeUndefined()
  await one.store.create('p', allowing('iot:Publish'))
  await other.store.attach('p', certificate)
  await settle()
  for (const node of [one, other]) {
    expect(node.decides('iot:Publish')).toBe('allow')
    expect(node.decides('iot:Connect')).toBe('implicitDeny')
    // The operations made the first policy, so other clients need none.
    expect(node.folder.policies.current?.policyOf('anonymous')).toBeUndefined()
    expect(await node.store.policiesOf(certificate)).toEqual(['p'])
  }
  await other.store.createVersion('p', allowing('iot:Connect'), true)
  await settle()
  expect(one.decides('iot:Connect')).toBe('allow')
  expect((await one.store.get('p')).versions.map(({ versionId }) => versionId)).toEqual([1, 2])
  await one.store.attach('p', 'all')
  await settle()
  expect(other.folder.policies.current?.policyOf('anonymous')).toBeDefined()
})

test('a node enforces what it can, once the last policy is gone', async () => {
  const { cluster, one } = await twoNodes()
  await one.store.create('p', allowing('iot:Publish'))
  await one.store.delete('p')
  await settle()
  const third = await joinPolicies(cluster)
  expect(third.decides('iot:Publish')).toBe('implicitDeny')
})

test('changes of several nodes at once are all made', async () => {
  const { one, other } = await twoNodes()
  await one.store.create('p', allowing('iot:Publish'))
  const targets = Array.from({ length: 8 }, (_, index) => `user:u${index}` as const)
  await Promise.all(
    targets.map((target, index) => (index % 2 === 0 ? one : other).store.attach('p', target)),
  )
  expect((await one.store.targetsOf('p')).toSorted()).toEqual(targets)
  const made = await Promise.allSettled([
    one.store.create('q', allowing('iot:Publish')),
    other.store.create('q', allowing('iot:Connect')),
  ])
  expect(made.filter(({ status }) => status === 'rejected')).toMatchObject([
    { reason: { code: 'ResourceAlreadyExistsException' } },
  ])
})

describe('a node that is cut off', () => {
  test('enforces what it knows, and refuses changes', async () => {
    const { one, other } = await twoNodes()
    await one.store.create('p', allowing('iot:Publish'))
    await one.store.attach('p', certificate)
    await settle()
    other.faults.disconnect('nobody answers')
    await expect(other.store.detach('p', certificate)).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
    })
    await one.store.detach('p', certificate)
    await settle()
    expect(other.decides('iot:Publish')).toBe('allow')
    other.faults.reconnect()
    await settle()
    expect(other.decides('iot:Publish')).not.toBe('allow')
  })
})

test('a policy of a newer release denies until it can be read', async () => {
  const { cluster, one } = await twoNodes()
  await one.store.create('p', allowing('iot:Publish'))
  await one.store.attach('p', certificate)
  const { state } = await cluster.join()
  const view = state.view('policy')
  await view.put('p', '{"format": 2}', view.get('p')?.revision)
  await settle()
  expect(one.decides('iot:Publish')).not.toBe('allow')
  expect(one.folder.isUnreadable()).toBe(true)
  await expect(one.store.get('p')).rejects.toMatchObject({
    code: 'InternalFailureException',
    message: 'what cluster test holds of the policy p is no policy of this release',
  })
})
