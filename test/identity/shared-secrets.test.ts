import { expect, onTestFinished, test } from 'vitest'
import { openAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { hashPassword } from '../../src/identity/passwords/password-hash.ts'
import { openPasswords } from '../../src/identity/passwords/passwords.ts'
import { createSharedAccessKeys, createSharedPasswords } from '../../src/identity/shared-secrets.ts'
import { createTestCluster, settle } from '../cluster/state/state-fixtures.ts'
import { createWatchedLog } from './identity-fixtures.ts'

const policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
}
const keyOf = (accessKeyId: string) =>
  JSON.stringify({ accessKeyId, secretAccessKey: 's'.repeat(40), policy })

test('access keys of the cluster are known at each node as soon as they are there', async () => {
  const cluster = createTestCluster()
  const [one, other] = [await cluster.join(), await cluster.join()]
  const view = other.state.view('key')
  await view.put('SLUICEONE', keyOf('SLUICEONE'), undefined)
  await settle()
  const source = createSharedAccessKeys(one.state.view('key'), one.state.place)
  const keys = await openAccessKeys(createWatchedLog(), { file: '', source })
  onTestFinished(() => keys.close())
  expect(keys.count).toBe(1)
  await view.put('SLUICETWO', keyOf('SLUICETWO'), undefined)
  await settle()
  expect(keys.find('SLUICETWO')?.secretAccessKey).toBe('s'.repeat(40))
  await view.remove('SLUICEONE', view.get('SLUICEONE')?.revision ?? 0)
  await settle()
  expect([keys.find('SLUICEONE'), keys.count]).toEqual([undefined, 1])
  // One that cannot be used takes no other away.
  await view.put('BROKEN', '{}', undefined)
  await settle()
  expect(keys.count).toBe(1)
})

test('passwords of the cluster let users in at each node', async () => {
  const cluster = createTestCluster()
  const [one, other] = [await cluster.join(), await cluster.join()]
  const source = createSharedPasswords(one.state.view('password'), one.state.place)
  const passwords = await openPasswords(createWatchedLog(), { file: '', source })
  onTestFinished(() => passwords.close())
  const check = (user: string) =>
    passwords.check({ user, password: Buffer.from('p'), address: '10.0.0.1' })
  const user = 'Gerät 7.a'
  expect(await check(user)).toBe('wrong')
  const view = other.state.view('password')
  await view.put(user, await hashPassword('p', { logN: 14, r: 8, p: 1 }), undefined)
  await settle()
  expect(await check(user)).toBe('right')
  await view.remove(user, view.get(user)?.revision ?? 0)
  await settle()
  expect(await check(user)).toBe('wrong')
})
