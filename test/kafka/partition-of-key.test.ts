import { murmur2 } from '@platformatic/kafka'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { partitionOfKey } from '../../src/kafka/partition-of-key.ts'

test.each([
  // The hashes that the tests of Apache Kafka hold (org.apache.kafka.common.utils.UtilsTest).
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
])('the partition of %s follows from the hash of Kafka', (key, hash) => {
  const partitions = 1_000_003
  expect(partitionOfKey(Buffer.from(key), partitions)).toBe((hash & 0x7f_ff_ff_ff) % partitions)
})

test('any key has the partition that another client gives it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 64 }), (key, count) => {
      const expected = (murmur2(Buffer.from(key)) & 0x7f_ff_ff_ff) % count
      expect(partitionOfKey(Buffer.from(key), count)).toBe(expected)
    }),
  )
})
