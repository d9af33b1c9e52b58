import { expect, test } from 'vitest'
import {
  changeClusterPolicy,
  listClusterPolicies,
} from '../../../src/cli/cluster/cluster-policies.ts'
import {
  createSharedPolicies,
  policyKinds,
} from '../../../src/identity/policies/shared-policies.ts'
import { createTestCluster, settle } from '../../cluster/state/state-fixtures.ts'

const document = JSON.stringify({ Version: '2012-10-17', Statement: [] })

test('policies of a cluster are listed, attached and detached, as a node sees them', async () => {
  const cluster = createTestCluster()
  const [node, { state }] = [await cluster.join(), await cluster.join()]
  const { place } = node.state
  const records = createSharedPolicies({
    policies: node.state.view(policyKinds.policy),
    scope: node.state.view(policyKinds.scope),
    place,
  })
  expect(await listClusterPolicies(state)).toBeUndefined()
  const given = { policy: 'devices', target: 'user:u' }
  await expect(changeClusterPolicy(state, 'attach', given)).rejects.toThrow(
    `there is no policy "devices" in ${place}`,
  )
  await records.change('devices', () => ({
    versions: {
      defaultVersionId: 1,
      nextVersionId: 2,
      createdMs: 0,
      versions: [{ versionId: 1, createdMs: 0, document }],
      tags: {},
    },
    targets: [],
  }))
  await settle()
  const attached = { target: 'user:u', isChanged: true }
  expect(await changeClusterPolicy(state, 'attach', given)).toEqual(attached)
  await settle()
  expect(await records.targetsOf('devices')).toEqual(['user:u'])
  expect(await changeClusterPolicy(state, 'attach', given)).toEqual({
    ...attached,
    isChanged: false,
  })
  expect(await listClusterPolicies(state)).toEqual([{ name: 'devices', targets: ['user:u'] }])
  expect(await changeClusterPolicy(state, 'detach', given)).toEqual(attached)
  expect(await changeClusterPolicy(state, 'detach', given)).toMatchObject({ isChanged: false })
  await expect(
    changeClusterPolicy(state, 'attach', { ...given, target: 'nobody' }),
  ).rejects.toMatchObject({ code: 'InvalidRequestException' })
})
