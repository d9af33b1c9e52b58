import type { KV } from '@nats-io/kv'
import { expect, onTestFinished, test } from 'vitest'
import { followBucket } from '../../../src/cluster/state/follow-bucket.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const nothing = () => undefined
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A bucket without entries, whose revision a test sets. */
function createBucket() {
  const bucket = {
    revision: 0,
    watches: 0,
    isBroken: false,
    status: async () => ({ streamInfo: { state: { last_seq: bucket.revision, messages: 0 } } }),
    async watch() {
      if (bucket.isBroken) throw new Error('timeout')
      bucket.watches++
      let finish: ((result: IteratorResult<never>) => void) | undefined
      const next = new Promise<IteratorResult<never>>((resolve) => (finish = resolve))
      return {
        stop: () => finish?.({ done: true, value: undefined }),
        [Symbol.asyncIterator]: () => ({ next: () => next }),
      }
    },
  }
  return bucket
}

test('a watch that could not begin again begins at the next check', async () => {
  const clock = createManualClock()
  const bucket = createBucket()
  const told: string[] = []
  const stop = followBucket(
    {
      clock,
      bucket: bucket as unknown as KV,
      connection: { status: () => ({ async *[Symbol.asyncIterator]() {} }) as never },
    },
    {
      begin: nothing,
      entry: nothing,
      deleted: nothing,
      present: (revision) => told.push(`present ${revision}`),
      lost: (reason) => told.push(`lost: ${reason}`),
      found: () => told.push('found'),
    },
  )
  onTestFinished(stop)
  const check = async () => {
    clock.advance(1_000)
    await settled()
  }
  await settled()
  expect(bucket.watches).toBe(1)
  bucket.isBroken = true
  // The watch is ended, and the new one cannot be made.
  bucket.revision = 5
  for (let count = 0; count < 3; count++) await check()
  expect(told).toEqual(['present 0', 'lost: NATS does not answer (timeout)'])
  bucket.isBroken = false
  await check()
  expect(bucket.watches).toBe(2)
  expect(told.slice(2)).toEqual(['found', 'present 5'])
})
