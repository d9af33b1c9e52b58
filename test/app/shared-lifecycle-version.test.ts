import { expect, test } from 'vitest'
import { takeSharedLifecycleVersion } from '../../src/app/first-lifecycle-version.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createTestCluster, settle } from '../cluster/state/state-fixtures.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

test('each start of a node has version numbers above all before, also of two at once', async () => {
  const cluster = createTestCluster()
  const views = await Promise.all(
    Array.from({ length: 3 }, async () => (await cluster.join()).state.view('lifecycle')),
  )
  let latest = 0
  for (let start = 0; start < 3; start++) {
    const taken = await Promise.all(
      views.map((view) => takeSharedLifecycleVersion(view, systemClock)),
    )
    expect(new Set(taken).size).toBe(3)
    expect(Math.min(...taken)).toBeGreaterThan(latest)
    latest = Math.max(...taken)
  }
})

test('a start waits while the store cannot be changed, and gives up when it is to end', async () => {
  const clock = createManualClock()
  const { state, faults } = await createTestCluster(clock).join()
  const view = state.view('lifecycle')
  faults.disconnect()
  const ending = new AbortController()
  const given = { value: 0 }
  const waiting = takeSharedLifecycleVersion(view, clock).then((value) => (given.value = value))
  const givenUp = takeSharedLifecycleVersion(view, clock, ending.signal)
  await settle()
  clock.advance(10_000)
  await settle()
  expect(given.value).toBe(0)
  ending.abort()
  await expect(givenUp).rejects.toMatchObject({ name: 'AbortError' })
  faults.reconnect()
  await settle()
  clock.advance(10_000)
  expect(await waiting).toBeGreaterThan(0)
})
