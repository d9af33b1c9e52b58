import { expect, test } from 'vitest'
import { takeSharedLifecycleVersion } from '../../src/app/first-lifecycle-version.ts'
import { createTestCluster } from '../cluster/state/state-fixtures.ts'

test('each start of a node has version numbers above all before, also of two at once', async () => {
  const cluster = createTestCluster()
  const views = await Promise.all(
    Array.from({ length: 3 }, async () => (await cluster.join()).state.view('lifecycle')),
  )
  let latest = 0
  for (let start = 0; start < 3; start++) {
    const taken = await Promise.all(views.map(takeSharedLifecycleVersion))
    expect(new Set(taken).size).toBe(3)
    expect(Math.min(...taken)).toBeGreaterThan(latest)
    latest = Math.max(...taken)
  }
})
