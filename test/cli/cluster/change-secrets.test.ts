import { expect, onTestFinished, test } from 'vitest'
import {
  createClusterAccessKey,
  deleteClusterAccessKey,
  removeClusterUser,
  setClusterPassword,
} from '../../../src/cli/cluster/change-secrets.ts'
import { openAccessKeys } from '../../../src/identity/access-keys/access-keys.ts'
import { openPasswords } from '../../../src/identity/passwords/passwords.ts'
import {
  createSharedAccessKeys,
  createSharedPasswords,
} from '../../../src/identity/shared-secrets.ts'
import { createTestCluster, settle } from '../../cluster/state/state-fixtures.ts'
import { createWatchedLog } from '../../identity/identity-fixtures.ts'

const cost = { logN: 14, r: 8, p: 1 }

test('users of a cluster get, change and lose their passwords', async () => {
  const cluster = createTestCluster()
  const [node, { state }] = [await cluster.join(), await cluster.join()]
  const source = createSharedPasswords(node.state.view('password'), node.state.place)
  const passwords = await openPasswords(createWatchedLog(), { file: '', source })
  onTestFinished(() => passwords.close())
  const check = async (password: string) => {
    await settle()
    return passwords.check({ user: 'u', password: Buffer.from(password), address: '10.0.0.1' })
  }
  expect(await setClusterPassword(state, { user: 'u', password: 'one', cost })).toBe(false)
  expect(await check('one')).toBe('right')
  expect(await setClusterPassword(state, { user: 'u', password: 'two', cost })).toBe(true)
  expect([await check('one'), await check('two')]).toEqual(['wrong', 'right'])
  expect(await removeClusterUser(state, 'u')).toBe(true)
  expect(await check('two')).toBe('wrong')
  expect(await removeClusterUser(state, 'u')).toBe(false)
  await expect(setClusterPassword(state, { user: 'a:b', password: 'x', cost })).rejects.toThrow(
    /not a user name/,
  )
})

test('an access key of a cluster is known at each node', async () => {
  const cluster = createTestCluster()
  const [node, { state }] = [await cluster.join(), await cluster.join()]
  const source = createSharedAccessKeys(node.state.view('key'), node.state.place)
  const keys = await openAccessKeys(createWatchedLog(), { file: '', source })
  onTestFinished(() => keys.close())
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
  }
  const made = await createClusterAccessKey(state, { policy, description: 'ops' })
  await settle()
  expect(keys.find(made.accessKeyId)).toMatchObject({ secretAccessKey: made.secretAccessKey })
  const { accessKeyId } = made
  expect(await deleteClusterAccessKey(state, 'absent')).toEqual({ wasThere: false, left: 1 })
  expect(await deleteClusterAccessKey(state, accessKeyId)).toEqual({ wasThere: true, left: 0 })
  await settle()
  expect(keys.find(accessKeyId)).toBeUndefined()
  await expect(createClusterAccessKey(state, { policy: {} })).rejects.toMatchObject({
    code: 'MalformedPolicyException',
  })
})
