import { describe, expect, test } from 'vitest'
import { createShardThrottles } from '../../../src/delivery/shards/shard-throttles.ts'
import type { ShardThrottles } from '../../../src/delivery/shards/shard-throttles.ts'

/** The longest delays that full jitter can give. */
const throttles = () => createShardThrottles(() => 0.999_99)
const refused = { delivered: 0, throttled: 5 }

/** Throttles that shard `a` had so often in a row, each as soon as it was tried. */
function throttledOften(times: number): ShardThrottles {
  const all = throttles()
  for (let time = 0; time < times; time++) all.answered('a', refused, all.generation(), 0)
  return all
}

describe('a throttled shard', () => {
  test('has no state until it is throttled', () => {
    const all = throttles()
    expect(all.answered('a', { delivered: 500, throttled: 0 }, all.generation(), 0)).toBe(false)
    expect(all.any()).toBe(false)
    expect(all.recordsMax('a', 0)).toBe(Infinity)
  })

  test.each([
    [1, 100],
    [2, 200],
    [5, 1_600],
    [7, 5_000],
    [1_000, 5_000],
  ])('pauses after %i throttles in a row for %i ms at most, others do not', (times, delayMs) => {
    const all = throttledOften(times)
    expect(all.dueMs('a')).toBe(delayMs)
    expect(all.recordsMax('a', delayMs - 1)).toBe(0)
    expect(all.recordsMax('a', delayMs)).toBe(1)
    expect(all.recordsMax('b', 0)).toBe(Infinity)
    expect(all.throttled()).toEqual(['a'])
  })

  test.each([
    ['nothing', 0, 1],
    ['one record', 1, 1],
    ['a hundred', 100, 50],
  ])('that took %s of the call is tried with half as many', (_, delivered, recordsMax) => {
    const all = throttles()
    all.answered('a', { delivered, throttled: 10 }, all.generation(), 0)
    expect(all.recordsMax('a', 100)).toBe(recordsMax)
  })

  test('gets twice as many records after each call that it takes in full, until it is open', () => {
    const all = throttledOften(1)
    const seen: number[] = []
    while (all.any()) {
      seen.push(all.recordsMax('a', 100))
      all.answered('a', { delivered: 1, throttled: 0 }, all.generation(), 100)
    }
    expect(seen).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256])
  })

  test.each([
    ['a call that it took whole', { delivered: 5, throttled: 0 }],
    ['a call that it took in part', { delivered: 5, throttled: 3 }],
  ])('starts with short delays again after %s', (_, outcome) => {
    const all = throttledOften(6)
    all.answered('a', outcome, all.generation(), 10_000)
    all.answered('a', { delivered: 1, throttled: 1 }, all.generation(), 10_000)
    expect(all.dueMs('a')).toBe(10_100)
  })

  test('is tried by one call at a time', () => {
    const all = throttledOften(1)
    all.began('a')
    expect(all.recordsMax('a', 100)).toBe(0)
    expect(all.dueMs('a')).toBeUndefined()
    all.ended('a')
    expect(all.recordsMax('a', 100)).toBe(1)
  })

  test.each([
    ['throttled too', refused],
    ['taken', { delivered: 5, throttled: 0 }],
  ])('learns nothing from calls that were in flight when it was paused: %s', (_, outcome) => {
    const all = throttles()
    const generation = all.generation()
    expect(all.answered('a', refused, generation, 0)).toBe(true)
    for (let call = 0; call < 15; call++) {
      expect(all.answered('a', outcome, generation, 50)).toBe(false)
    }
    expect(all.dueMs('a')).toBe(100)
    expect(all.recordsMax('a', 100)).toBe(1)
  })

  test('is forgotten when it is closed', () => {
    const all = throttledOften(1)
    all.answered('b', refused, all.generation(), 0)
    all.keep((shardId) => shardId === 'b')
    expect(all.throttled()).toEqual(['b'])
  })
})
