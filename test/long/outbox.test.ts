import { expect, test } from 'vitest'
import { expectBoundsHold } from '../outbox/outbox-bounds.ts'

test('at the bounds of the outbox nothing is lost or miscounted, over hundreds of runs', async () => {
  await expect(expectBoundsHold({ numRuns: 500 })).resolves.toBeUndefined()
}, 1_200_000)
