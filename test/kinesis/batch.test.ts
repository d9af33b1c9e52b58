import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSendQueue } from '../../src/kinesis/batch.ts'
import type { Outgoing, Returned, SendQueue } from '../../src/kinesis/send-queue.ts'
import type { QueuedRecord } from '../../src/outbox/outbox.ts'

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

const wide = { recordsMax: 500, bytesMax: 1_000_000 }

function queueOf(text: string, bytes?: number): SendQueue {
  const queue = createSendQueue('key')
  queue.add(records(text, bytes))
  return queue
}

describe('the next call', () => {
  it('takes all that waits, each key together and in order', () => {
    expect(named(queueOf('a1 b2 a3 c4').take(0, wide))).toBe('a1 a3 b2 c4')
  })

  it.each([
    ['records', { recordsMax: 2, bytesMax: 1_000 }, 'a1 a3', 'b2 c4'],
    ['bytes', { recordsMax: 500, bytesMax: 25 }, 'a1 a3', 'b2 c4'],
    ['one record', { recordsMax: 1, bytesMax: 1_000 }, 'a1', 'b2'],
    ['less than a record', { recordsMax: 500, bytesMax: 5 }, 'a1', 'b2'],
  ])('is bounded by %s', (_, limits, first, second) => {
    const queue = queueOf('a1 b2 a3 c4')
    expect(named(queue.take(0, limits))).toBe(first)
    expect(named(queue.take(0, limits))).toBe(second)
  })

  it('takes no key that is in flight, and goes on with it once it is answered', () => {
    const queue = queueOf('a1 a2 b3')
    const first = queue.take(0, { recordsMax: 1, bytesMax: 1_000 })
    expect(named(first)).toBe('a1')
    expect(named(queue.take(0, wide))).toBe('b3')
    expect(named(queue.take(0, wide))).toBe('')
    queue.release(first, [])
    expect(named(queue.take(0, wide))).toBe('a2')
  })

  it('holds a key back until its failed record may go, others go on', () => {
    const queue = queueOf('a1 b2')
    const first = queue.take(0, wide)
    queue.add(records('a3 b4'))
    queue.release(first, again(first[0], 100))
    expect(queue.nextDueMs()).toBe(100)
    expect(named(queue.take(99, wide))).toBe('b4')
    expect(named(queue.take(100, wide))).toBe('a1 a3')
    expect(queue.nextDueMs()).toBeUndefined()
  })

  it('sends what is to go alone in a call of its own', () => {
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

  it('lets keys take turns', () => {
    const one = { recordsMax: 1, bytesMax: 1_000 }
    const queue = queueOf('a1 a2 b3')
    const first = queue.take(0, one)
    queue.release(first, [])
    expect(named(queue.take(0, one))).toBe('b3')
  })

  it('counts what is in the queue, in flight or not', () => {
    const queue = queueOf('a1 b2 c3')
    const first = queue.take(0, wide)
    expect(queue.size()).toEqual({ records: 3, bytes: 30 })
    queue.release(first, again(first[0]))
    expect(queue.size()).toEqual({ records: 1, bytes: 10 })
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
    }),
  ),
  { maxLength: 80 },
)

describe('any run of calls', () => {
  it('overlaps no key, passes no failed record, and sends everything in the end', () => {
    fc.assert(
      fc.property(run, (steps) => {
        const queue = createSendQueue('key')
        const inFlight: (readonly Outgoing[])[] = []
        const pending = new Set<number>()
        let sequence = 0
        let nowMs = 0

        function take(recordsMax: number): boolean {
          const taken = queue.take(nowMs, { recordsMax, bytesMax: 1_000_000 })
          const flying = new Set(inFlight.flat().map(({ record }) => record.partitionKey))
          for (const { record } of taken) {
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

        function release(call: number, failed: readonly boolean[], delayMs: number): void {
          const [taken] = inFlight.splice(call, 1)
          if (taken === undefined) return
          const returned = taken
            .filter((_, index) => failed[index] === true)
            .map((outgoing) => ({ ...outgoing, dueMs: delayMs === 0 ? 0 : nowMs + delayMs }))
          queue.release(taken, returned)
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
              release(step.call % Math.max(1, inFlight.length), step.failed, step.delayMs)
              break
            }
          }
        }
        nowMs += 10
        do while (inFlight.length > 0) release(0, [], 0)
        while (take(500))
        expect(pending.size).toBe(0)
        expect(queue.size()).toEqual({ records: 0, bytes: 0 })
      }),
      { numRuns: 300 },
    )
  })
})
