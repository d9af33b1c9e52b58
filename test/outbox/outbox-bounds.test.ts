import { expect, test } from 'vitest'
import { expectBoundsHold } from './outbox-bounds.ts'

test('at the bounds of destinations, rows and bytes nothing is lost or miscounted', async () => {
  await expect(
    expectBoundsHold({ seed: 7, numRuns: 8, endOnFailure: true }),
  ).resolves.toBeUndefined()
})
