import { describe, expect, test } from 'vitest'
import { brokenPromise } from '../delivery/order-promises.ts'

/** Each run makes two streams, and the lab takes 5,000. */
const runs = 2_400
const timeoutMs = 1_200_000

describe('order, whatever fails, over thousands of runs', () => {
  test.each(['key', 'strict', 'none'] as const)(
    '%s',
    async (ordering) => {
      expect(await brokenPromise(ordering, runs)).toBeUndefined()
    },
    timeoutMs,
  )
})
