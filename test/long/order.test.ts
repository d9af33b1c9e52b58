import { describe, expect, it } from 'vitest'
import { brokenPromise } from '../kinesis/order-promises.ts'

const runs = 3_000
const timeoutMs = 1_200_000

describe('order, whatever fails, over thousands of runs', () => {
  it.each(['key', 'strict', 'none'] as const)(
    '%s',
    async (ordering) => {
      expect(await brokenPromise(ordering, runs)).toBeUndefined()
    },
    timeoutMs,
  )
})
