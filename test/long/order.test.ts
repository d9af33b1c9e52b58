import * as fc from 'fast-check'
import { describe, it } from 'vitest'
import { openOrderRuns, scenario } from '../kinesis/order-promises.ts'

const runs = 3_000
const timeoutMs = 1_200_000

describe('order, whatever fails, over thousands of runs', () => {
  it.each(['key', 'strict', 'none'] as const)(
    '%s',
    async (ordering) => {
      const run = await openOrderRuns(ordering)
      await fc.assert(fc.asyncProperty(scenario, run), { numRuns: runs })
    },
    timeoutMs,
  )
})
