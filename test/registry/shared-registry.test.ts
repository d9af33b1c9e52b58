import { expect, test } from 'vitest'
import { createOpenSharedRecords } from '../../src/registry/shared-records.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createTestCluster, settle } from '../cluster/state/state-fixtures.ts'
import type { TestCluster } from '../cluster/state/state-fixtures.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { temporaryFolder } from '../rules/rule-fixtures.ts'
import { openTestRegistry } from './registry-fixtures.ts'

async function joinRegistry(cluster: TestCluster, folder: string) {
  const { state, faults } = await cluster.join()
  const logged: string[] = []
  const ended: string[] = []
  const logger = createMemoryLogger((line) => logged.push(String(line['msg'])))
  const { registry } = await openTestRegistry({ clock: createManualClock(), logger }, folder, {
    openRecords: createOpenSharedRecords({ logger, state }),
    onDeactivated: (id) => ended.push(id),
  })
  return { ...registry, faults, logged, ended, state }
}

/** Two nodes with one CA. */
async function twoNodes() {
  const cluster = createTestCluster()
  const folder = await temporaryFolder()
  const one = await joinRegistry(cluster, folder)
  return { cluster, folder, one, other: await joinRegistry(cluster, folder) }
}

test('things and certificates of one node are those of all', async () => {
  const { cluster, folder, one, other } = await twoNodes()
  other.faults.watchDelayMs = 30
  await one.things.create('t', { attributes: { site: 'a' } })
  const { certificateId } = await one.certificates.createWithKeys(true)
  // A client calls one node after the other.
  await other.things.attach('t', certificateId, 'NON_EXCLUSIVE_THING')
  await other.things.update('t', { attributes: { site: 'b' }, expectedVersion: 1 })
  await settle()
  expect(one.things.get('t')).toMatchObject({ version: 2, attributes: { site: 'b' } })
  expect(one.things.thingsOf(certificateId)).toEqual(['t'])
  const third = await joinRegistry(cluster, folder)
  expect(third.things.list({ pageMax: 10 }).things.map(({ thingName }) => thingName)).toEqual(['t'])
  expect(third.certificates.statusOf(certificateId)).toBe('ACTIVE')
  expect(third.ended).toEqual([])
})

test('a certificate that one node deactivates ends its connections at all', async () => {
  const { one, other } = await twoNodes()
  const { certificateId } = await one.certificates.createWithKeys(true)
  await settle()
  await other.certificates.setStatus(certificateId, 'INACTIVE')
  await settle()
  expect(one.certificates.statusOf(certificateId)).toBe('INACTIVE')
  expect([one.ended, other.ended]).toEqual([[certificateId], [certificateId]])
  await one.certificates.delete(certificateId, false)
  await settle()
  expect(other.certificates.has(certificateId)).toBe(false)
})

test('changes of one thing at several nodes are all made, one after the other', async () => {
  const { one, other } = await twoNodes()
  await one.things.create('t', {})
  await settle()
  const updates = Array.from({ length: 3 }, (_, index) => {
    const { things } = index % 2 === 0 ? one : other
    return things.update('t', { attributes: { [`a${index}`]: 'x' }, isMerged: true })
  })
  await Promise.all(updates)
  await settle()
  const expected = { version: 4, attributes: { a0: 'x', a1: 'x', a2: 'x' } }
  expect([one.things.get('t'), other.things.get('t')]).toMatchObject([expected, expected])
  const [first, second] = await Promise.allSettled([
    one.things.update('t', { expectedVersion: 4 }),
    other.things.update('t', { expectedVersion: 4 }),
  ])
  const refused = [first, second].filter(({ status }) => status === 'rejected')
  expect(refused).toMatchObject([{ reason: { code: 'VersionConflictException' } }])
})

test('a node that is cut off reads what it knows, and refuses changes', async () => {
  const { one, other } = await twoNodes()
  await one.things.create('t', {})
  await settle()
  other.faults.disconnect('nobody answers')
  await expect(other.things.delete('t')).rejects.toMatchObject({
    code: 'ServiceUnavailableException',
  })
  expect(other.things.find('t')).toBeDefined()
  await one.things.delete('t')
  other.faults.reconnect()
  await settle()
  expect(other.things.find('t')).toBeUndefined()
})

test('a record of a newer release is told, and its last good version stays', async () => {
  const { cluster, one } = await twoNodes()
  await one.things.create('t', {})
  const { state } = await cluster.join()
  await state.view('thing').put('t', '{"format": 2}', state.view('thing').get('t')?.revision)
  await settle()
  expect(one.things.find('t')).toBeDefined()
  expect(one.logged).toContain(
    'a thing of the cluster cannot be used (its last good version stays): thing.t',
  )
})
