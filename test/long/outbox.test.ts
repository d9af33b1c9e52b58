import { expect, test } from 'vitest'
import { expectBoundsHold } from '../outbox/outbox-bounds.ts'

test.each(['own', 'shared'] as const)(
  'at the bounds of the outbox nothing is lost or miscounted, over hundreds of runs: payloads are %s',
  async (payloads) => {
    await expect(expectBoundsHold(payloads, { numRuns: 500 })).resolves.toBeUndefined()
  },
  1_200_000,
)
