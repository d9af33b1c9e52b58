import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import { createOrderedQueue } from '../../../src/delivery/queue/ordered-queue.ts'
import { createUnorderedQueue } from '../../../src/delivery/queue/unordered-queue.ts'
import type { SendQueue } from '../../../src/delivery/queue/send-queue.ts'
import type { Outgoing, Returned } from '../../../src/delivery/call/outgoing.ts'
import { createShardMap } from '../../../src/delivery/shards/shard-map.ts'
import { createShardThrottles } from '../../../src/delivery/shards/shard-throttles.ts'
import { uniformRanges } from '../../../src/lab/streams/resharding.ts'
import type { Ordering, QueuedRecord } from '../../../src/outbox/outbox.ts'

const queued = (sequence: number, partitionKey: string, bytes = 10): QueuedRecord => ({
  sequence,
  partitionKey,
  bytes,
  data: Buffer.alloc(0),
  stored: Buffer.alloc(bytes),
  ruleName: 'rule',
  actionIndex: 0,
  acceptedAtMs: 0,
})

/** Records named by key and sequence: `a1 b2 a3`. */
const records = (text: string, bytes = 10) =>
  text.split(' ').map((name) => queued(Number(name.slice(1)), name.slice(0, 1), bytes))

const named = (taken: readonly Outgoing[]) =>
  taken.map(({ record }) => `${record.partitionKey}${record.sequence}`).join(' ')

const again = (outgoing: Outgoing | undefined, dueMs = 0): Returned[] =>
  outgoing === undefined ? [] : [{ ...outgoing, dueMs }]

const orderings = ['key', 'strict', 'none'] as const
const wide = { recordsMax: 500, bytesMax: 1_000_000 }

function queueOf(text: string, bytes?: number): SendQueue {
  const queue = createOrderedQueue('key')
  queue.add(records(text, bytes))
  return queue
}

describe('the next call', () => {
  test('takes all waiting records, those of each key together and in order', () => {
    expect(named(queueOf('a1 b2 a3 c4').take(0, wide))).toBe('a1 a3 b2 c4')
  })

  test.each([
    ['records', { recordsMax: 2, bytesMax: 1_000 }, 'a1 a3', 'b2 c4'],
    ['bytes', { recordsMax: 500, bytesMax: 25 }, 'a1 a3', 'b2 c4'],
    ['one record', { recordsMax: 1, bytesMax: 1_000 }, 'a1', 'b2'],
    ['less than a record', { recordsMax: 500, bytesMax: 5 }, 'a1', 'b2'],
  ])('is bounded by %s', (_, limits, first, second) => {
    const queue = queueOf('a1 b2 a3 c4')
    expect(named(queue.take(0, limits))).toBe(first)
    expect(named(queue.take(0, limits))).toBe(second)
  })

  test('takes no key that is in flight until its call is answered', () => {
    const queue = queueOf('a1 a2 b3')
    const first = queue.take(0, { recordsMax: 1, bytesMax: 1_000 })
    expect(named(first)).toBe('a1')
    expect(named(queue.take(0, wide))).toBe('b3')
    expect(named(queue.take(0, wide))).toBe('')
    queue.release(first, [])
    expect(named(queue.take(0, wide))).toBe('a2')
  })

  test('holds a key back until its failed record may go, while other keys go on', () => {
    const queue = queueOf('a1 b2')
    const first = queue.take(0, wide)
    queue.add(records('a3 b4'))
    queue.release(first, again(first[0], 100))
    expect(queue.next(0).dueMs).toBe(100)
    expect(named(queue.take(99, wide))).toBe('b4')
    expect(named(queue.take(100, wide))).toBe('a1 a3')
    expect(queue.next(100).dueMs).toBe(Infinity)
  })

  test('sends a record that must go alone in a call of its own', () => {
    const queue = queueOf('a1 b2')
    const first = queue.take(0, wide)
    queue.add(records('a3'))
    const alone = first.map((outgoing) => ({ ...outgoing, alone: true, dueMs: 0 }))
    queue.release(first, alone)
    const calls = [queue.take(0, wide), queue.take(0, wide)]
    expect(calls.map(named)).toEqual(['a1', 'b2'])
    for (const call of calls) queue.release(call, [])
    expect(named(queue.take(0, wide))).toBe('a3')
  })

  test('lets keys take turns', () => {
    const one = { recordsMax: 1, bytesMax: 1_000 }
    const queue = queueOf('a1 a2 b3')
    const first = queue.take(0, one)
    queue.release(first, [])
    expect(named(queue.take(0, one))).toBe('b3')
  })

  test('counts all records of the queue, in flight or not', () => {
    const queue = queueOf('a1 b2 c3')
    const first = queue.take(0, wide)
    expect(queue.size()).toEqual({ records: 3, bytes: 30 })
    queue.release(first, again(first[0]))
    expect(queue.size()).toEqual({ records: 1, bytes: 10 })
  })
})

/**
 * Four shards of equal ranges; those of the keys `k0` to `k3`, and of `a` to `d`, are not all one.
 */
const map = createShardMap(
  uniformRanges(4).map((range, index) => ({ shardId: `shard-${index}`, ...range })),
)
const shardOf = (partitionKey: string) => map.shardOfRecord({ partitionKey }) ?? ''

/** A queue that knows the shards, and a way to throttle them, for the longest time there is. */
function queueWithShards(ordering: Ordering) {
  const throttles = createShardThrottles(() => 0.999_99)
  const shards = { room: throttles, map: () => map }
  const queue =
    ordering === 'none' ? createUnorderedQueue(shards) : createOrderedQueue(ordering, shards)
  /** Ends a call, for which some of its records were too much. */
  function answer(taken: readonly Outgoing[], tooMuch: readonly Outgoing[], nowMs: number): void {
    const shardIds = new Set(taken.map(({ record }) => shardOf(record.partitionKey)))
    for (const shardId of shardIds) {
      const ofShard = (some: readonly Outgoing[]) =>
        some.filter(({ record }) => shardOf(record.partitionKey) === shardId).length
      const throttled = ofShard(tooMuch)
      const outcome = { delivered: ofShard(taken) - throttled, throttled }
      throttles.answered(shardId, outcome, throttles.generation(), nowMs)
    }
    queue.release(
      taken,
      tooMuch.map((outgoing) => ({ ...outgoing, dueMs: 0 })),
    )
  }
  return { queue, throttles, answer }
}

describe('a throttled shard', () => {
  // `b` and `d` are of one shard, `a` and `c` of others.
  test('holds all of its keys during its pause, while others go on', () => {
    const { queue, answer } = queueWithShards('key')
    queue.add(records('a1 b2 c3'))
    const first = queue.take(0, wide)
    queue.add(records('a4 b5 c6 d7'))
    answer(first, first.slice(1, 2), 0)
    expect(named(queue.take(0, wide))).toBe('a4 c6')
    expect(queue.next(99)).toMatchObject({ records: 0, bytes: 0 })
    expect(queue.next(0).dueMs).toBe(100)
    expect(named(queue.take(99, wide))).toBe('')
    expect(queue.next(100).records).toBe(1)
  })

  test('is tried by one call at a time, with more records each time', () => {
    const { queue, answer } = queueWithShards('key')
    queue.add(records('b1 b2 b3 b4 d5 d6 d7 d8 d9'))
    const first = queue.take(0, wide)
    answer(first, first, 0)
    const calls: string[] = []
    for (;;) {
      const taken = queue.take(100, wide)
      if (taken.length === 0) break
      calls.push(named(taken))
      expect(named(queue.take(100, wide))).toBe('')
      answer(taken, [], 100)
    }
    expect(calls).toEqual(['b1', 'd5 d6', 'b2 b3 b4 d7', 'd8 d9'])
    expect(queue.size().records).toBe(0)
  })

  test('begins again with half of the records that it took', () => {
    const { queue, answer } = queueWithShards('key')
    queue.add(records('b1 b2 b3 b4 b5 b6'))
    const first = queue.take(0, wide)
    answer(first, first.slice(4), 0)
    queue.add(records('d7 d8 d9'))
    expect(named(queue.take(100, wide))).toBe('b5 b6')
  })

  test('releases the records that wait for it when it is closed', () => {
    const { queue, throttles, answer } = queueWithShards('key')
    queue.add(records('a1 b2 d3'))
    const first = queue.take(0, wide)
    answer(first, first.slice(1), 0)
    expect(named(queue.take(0, wide))).toBe('')
    throttles.keep(() => false)
    expect(queue.next(0).records).toBe(2)
    expect(named(queue.take(0, wide))).toBe('b2 d3')
  })

  test.each(['key', 'none'] as const)(
    '%s: a record goes by its explicit hash key, where it has one',
    (ordering) => {
      const { queue, throttles } = queueWithShards(ordering)
      const last = { explicitHashKey: String(hashKeySpace - 1n) }
      throttles.answered('shard-3', { delivered: 0, throttled: 1 }, 0, 0)
      queue.add([queued(1, 'b'), { ...queued(2, 'b'), ...last }, { ...queued(3, 'c'), ...last }])
      queue.add([queued(4, 'a')])
      const taken = queue.take(0, wide)
      expect(named(taken)).toBe('b1 a4')
      queue.release(taken, [])
      expect(named(queue.take(0, wide))).toBe('')
      expect(named(queue.take(100, wide))).toMatch(/^(b2|c3)$/)
    },
  )

  test('strict: a call still takes one record of a key', () => {
    const { queue, answer } = queueWithShards('strict')
    queue.add(records('b1 b2 d3 d4'))
    const first = queue.take(0, wide)
    expect(named(first)).toBe('b1 d3')
    answer(first, first, 0)
    const second = queue.take(100, wide)
    answer(second, [], 100)
    expect([named(second), named(queue.take(100, wide))]).toEqual(['b1', 'd3 b2'])
  })

  test('none: holds records, not keys, and sends held records before others', () => {
    const { queue, answer } = queueWithShards('none')
    queue.add(records('a1 b2 d3'))
    const first = queue.take(0, wide)
    answer(first, first.slice(1), 0)
    queue.add(records('a4 b5'))
    expect(named(queue.take(0, wide))).toBe('a4')
    expect(queue.next(100).records).toBe(1)
    const tried = queue.take(100, wide)
    expect(named(tried)).toBe('b2')
    answer(tried, [], 100)
    expect(named(queue.take(100, wide))).toBe('d3 b5')
  })
})

/** A random run: records come, calls start, calls end with some of their records failed. */
const run = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('add' as const), keys: fc.array(fc.nat(3), { maxLength: 8 }) }),
    fc.record({ kind: fc.constant('take' as const), recordsMax: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      kind: fc.constant('release' as const),
      call: fc.nat(5),
      failed: fc.array(fc.boolean(), { maxLength: 6 }),
      delayMs: fc.nat(3),
      /** Those that failed were too much for their shards. */
      isThrottle: fc.boolean(),
    }),
  ),
  { maxLength: 80, size: 'max' },
)

describe('any run of calls', () => {
  test('calls of a key never overlap, no failed record is passed, everything is sent', () => {
    fc.assert(
      fc.property(run, fc.constantFrom(...orderings), (steps, ordering) => {
        const { queue, answer } = queueWithShards(ordering)
        const inFlight: (readonly Outgoing[])[] = []
        const pending = new Set<number>()
        let sequence = 0
        let nowMs = 0

        function take(recordsMax: number): boolean {
          const taken = queue.take(nowMs, { recordsMax, bytesMax: 1_000_000 })
          const flying = new Set(inFlight.flat().map(({ record }) => record.partitionKey))
          const keys = taken.map(({ record }) => record.partitionKey)
          expect(ordering === 'strict' ? new Set(keys).size : keys.length).toBe(keys.length)
          for (const { record } of ordering === 'none' ? [] : taken) {
            expect(flying).not.toContain(record.partitionKey)
            const { partitionKey } = record
            const earlier = [...pending].filter(
              (other) => other < record.sequence && `k${other % 4}` === partitionKey,
            )
            // All that is earlier of the key and not delivered goes in this very call.
            const inCall = taken.map((outgoing) => outgoing.record.sequence)
            expect(inCall).toEqual(expect.arrayContaining(earlier))
          }
          if (taken.length > 0) inFlight.push(taken)
          return taken.length > 0
        }

        function release(
          call: number,
          failed: readonly boolean[],
          delayMs: number | 'shard',
        ): void {
          const [taken] = inFlight.splice(call, 1)
          if (taken === undefined) return
          const returned = taken.filter((_, index) => failed[index] === true)
          if (delayMs === 'shard') {
            answer(taken, returned, nowMs)
          } else {
            const dueMs = delayMs === 0 ? 0 : nowMs + delayMs
            queue.release(
              taken,
              returned.map((outgoing) => ({ ...outgoing, dueMs })),
            )
          }
          const kept = new Set(returned.map(({ record }) => record.sequence))
          for (const { record } of taken) {
            if (!kept.has(record.sequence)) pending.delete(record.sequence)
          }
        }

        for (const step of steps) {
          nowMs += 1
          switch (step.kind) {
            case 'add': {
              const added = step.keys.map((key) => {
                // The key follows from the sequence, so that it can be told from it.
                sequence = sequence + 4 - ((sequence - key) & 3)
                return queued(sequence, `k${key}`)
              })
              for (const record of added) pending.add(record.sequence)
              queue.add(added)
              break
            }
            case 'take': {
              take(step.recordsMax)
              break
            }
            case 'release': {
              const delayMs = step.isThrottle ? 'shard' : step.delayMs
              release(step.call % Math.max(1, inFlight.length), step.failed, delayMs)
              break
            }
          }
        }
        // Longer than any pause; each answer lets a throttled shard take more.
        nowMs += 10_000
        do while (inFlight.length > 0) release(0, [], 'shard')
        while (take(500))
        expect(pending.size).toBe(0)
        expect(queue.size()).toEqual({ records: 0, bytes: 0 })
      }),
      { numRuns: 300 },
    )
  })
})
