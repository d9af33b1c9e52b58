import { describe, expect, test } from 'vitest'
import { waitBehindHotKey } from './hot-key.ts'

const backlog = 40_000

describe('other keys wait less than a second behind 40,000 records of a hot one', () => {
  test.each([
    { ordering: 'key', areShardsKnown: true, hotKeys: 1 },
    { ordering: 'key', areShardsKnown: false, hotKeys: 1 },
    { ordering: 'key', areShardsKnown: false, hotKeys: 100 },
    { ordering: 'strict', areShardsKnown: true, hotKeys: 1 },
    { ordering: 'strict', areShardsKnown: false, hotKeys: 10 },
    { ordering: 'none', areShardsKnown: true, hotKeys: 1 },
    { ordering: 'none', areShardsKnown: false, hotKeys: 1 },
  ] as const)('%j', async (given) => {
    const { waitedMs } = await waitBehindHotKey({ ...given, backlog })
    expect(waitedMs).toBeLessThan(1_000)
  })
})

describe('what stayed on disk of a hot key arrives all the same, in order', () => {
  test.each([
    // A shard takes 1,000 records a second.
    { ordering: 'key', hotKeys: 1, backlog: 5_000, takesMs: 10_000 },
    { ordering: 'key', hotKeys: 10, backlog: 5_000, takesMs: 10_000 },
    // A key has one record in each call, which takes 20 ms.
    { ordering: 'strict', hotKeys: 2, backlog: 2_000, takesMs: 40_000 },
  ] as const)('%j', async ({ takesMs, ...given }) => {
    const run = await waitBehindHotKey({ ...given, areShardsKnown: false, heldRecordsMax: 400 })
    expect(await run.drain()).toBeLessThan(takesMs)
    expect(run.taken).toEqual(run.accepted)
  })
})
