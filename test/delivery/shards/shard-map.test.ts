import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKeyOf, hashKeySpace } from '../../../src/base/hash-key.ts'
import { createShardMap } from '../../../src/delivery/shards/shard-map.ts'
import { uniformRanges } from '../../../src/lab/streams/resharding.ts'

const rangesOf = (shardCount: number) =>
  uniformRanges(shardCount).map((range, index) => ({ shardId: `shard-${index}`, ...range }))

describe('the shard of a hash key', () => {
  const quarter = hashKeySpace / 4n
  test.each([
    ['the first key', 0n, 'shard-0'],
    ['the last of a range', quarter - 1n, 'shard-0'],
    ['the first of the next', quarter, 'shard-1'],
    ['the last key', hashKeySpace - 1n, 'shard-3'],
  ])('%s', (_, hashKey, expected) => {
    expect(createShardMap(rangesOf(4).toReversed()).shardOf(hashKey)).toBe(expected)
  })

  test('is unknown in a gap and without any listed shard', () => {
    const gap = createShardMap(rangesOf(4).filter(({ shardId }) => shardId !== 'shard-1'))
    expect(gap.shardOf(quarter)).toBeUndefined()
    expect(gap.shardOf(2n * quarter)).toBe('shard-2')
    expect(gap.has('shard-1')).toBe(false)
    expect(createShardMap([]).shardOf(0n)).toBeUndefined()
  })

  test('is the one whose range holds it, however many there are', () => {
    const hashKeys = fc.bigInt({ min: 0n, max: hashKeySpace - 1n })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), hashKeys, (count, hashKey) => {
        const ranges = rangesOf(count)
        const found = ranges.find(
          (range) => range.shardId === createShardMap(ranges).shardOf(hashKey),
        )
        expect(found?.startingHashKey).toBeLessThanOrEqual(hashKey)
        expect(found?.endingHashKey).toBeGreaterThanOrEqual(hashKey)
      }),
    )
  })

  test('follows the partition key of a record, or its explicit hash key', () => {
    const map = createShardMap(rangesOf(4))
    const shardOfKey = map.shardOf(hashKeyOf('device-1'))
    expect(map.shardOfRecord({ partitionKey: 'device-1' })).toBe(shardOfKey)
    const explicitHashKey = String(hashKeySpace - 1n)
    expect(map.shardOfRecord({ partitionKey: 'device-1', explicitHashKey })).toBe('shard-3')
  })
})
