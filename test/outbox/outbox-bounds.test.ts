import { expect, test } from 'vitest'
import { expectBoundsHold } from './outbox-bounds.ts'

test.each(['own', 'shared'] as const)(
  'at the bounds of destinations, rows and bytes nothing is lost or miscounted: payloads are %s',
  async (payloads) => {
    await expect(
      expectBoundsHold(payloads, { seed: 7, numRuns: 8, endOnFailure: true }),
    ).resolves.toBeUndefined()
  },
)
