import * as fc from 'fast-check'
import { describe, it } from 'vitest'
import { openOrderRuns, scenario } from './order-promises.ts'

describe('order, whatever fails', () => {
  it('key: nothing is lost, no calls of a key overlap, nothing passes a failed record, and only records of one call that failed in part change places', async () => {
    const run = await openOrderRuns('key')
    await fc.assert(fc.asyncProperty(scenario, run), { numRuns: 100 })
  })

  it('strict: nothing is lost, and no two records of a key change places', async () => {
    const run = await openOrderRuns('strict')
    await fc.assert(fc.asyncProperty(scenario, run), { numRuns: 100 })
  })

  it('none: nothing is lost', async () => {
    const run = await openOrderRuns('none')
    await fc.assert(fc.asyncProperty(scenario, run), { numRuns: 60 })
  })
})
