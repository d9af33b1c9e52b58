import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideBatch } from '../../src/event-source/batch-decision.ts'
import type { BatchPart, PartResult } from '../../src/event-source/batch-decision.ts'

const part = (count: number, failedCalls = 0): BatchPart => ({ count, failedCalls })
const failed: PartResult = { kind: 'failed' }
const failedFrom = (index: number): PartResult => ({ kind: 'failedFrom', index })

describe('a batch', () => {
  test.each([
    ['that succeeds is finished', part(4), { kind: 'succeeded' }, {}, 4, 0, []],
    ['that fails is tried again', part(4), failed, {}, 0, 0, [part(4, 1)]],
    [
      'that was not taken is tried again, which is no attempt',
      part(4, 1),
      { kind: 'notInvoked' },
      { retriesMax: 0 },
      0,
      0,
      [part(4, 1)],
    ],
    ['without retries is given up at once', part(4), failed, { retriesMax: 0 }, 0, 4, []],
    ['is given up after the last retry', part(4, 2), failed, { retriesMax: 2 }, 0, 4, []],
    ['has its last retry', part(4, 1), failed, { retriesMax: 2 }, 0, 0, [part(4, 2)]],
    [
      'is split in halves, which is no attempt',
      part(5, 1),
      failed,
      { bisects: true, retriesMax: 1 },
      0,
      0,
      [part(3, 1), part(2, 1)],
    ],
    ['of one record is not split', part(1), failed, { bisects: true }, 0, 0, [part(1, 1)]],
    ['of one record is given up', part(1, 1), failed, { bisects: true, retriesMax: 1 }, 0, 1, []],
    ['goes on at the record that failed', part(5), failedFrom(2), {}, 2, 0, [part(3, 1)]],
    [
      'is cut where the function says',
      part(5),
      failedFrom(2),
      { bisects: true, retriesMax: 0 },
      2,
      0,
      [part(3)],
    ],
    [
      'keeps what was done when it is given up',
      part(5),
      failedFrom(2),
      { retriesMax: 0 },
      2,
      3,
      [],
    ],
  ] as const)('%s', (_, given, result, settings, finishedCount, givenUpCount, next) => {
    const decision = decideBatch(given, result, { bisects: false, retriesMax: -1, ...settings })
    expect(decision).toMatchObject({ finishedCount, givenUpCount, next })
  })
})

describe('whatever a function does', () => {
  const anyResult = fc.oneof(
    fc.constant({ kind: 'succeeded' as const }),
    fc.constant(failed),
    fc.record({
      kind: fc.constant('failedFrom' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  )

  /** A result that fits the part. */
  function fitting(result: { kind: string; share?: number }, count: number): PartResult {
    if (result.kind === 'succeeded') return { kind: 'succeeded' }
    const index = Math.floor((result.share ?? 0) * count)
    return index > 0 && index < count ? failedFrom(index) : failed
  }

  test('each record is finished or given up once, in order, and it ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 4 }),
        fc.infiniteStream(anyResult),
        (count, bisects, retriesMax, results) => {
          let parts: readonly BatchPart[] = [part(count)]
          let done = 0
          let calls = 0
          for (let [first] = parts; first; [first] = parts) {
            const { finishedCount, givenUpCount, next } = decideBatch(
              first,
              fitting(results.next().value, first.count),
              { bisects, retriesMax },
            )
            done += finishedCount + givenUpCount
            parts = [...next, ...parts.slice(1)]
            // What is left is always the end of the batch: nothing is passed over.
            expect(done + parts.reduce((sum, each) => sum + each.count, 0)).toBe(count)
            expect(parts.every((each) => each.count > 0)).toBe(true)
            expect(++calls).toBeLessThanOrEqual(2 * count * (retriesMax + 1))
          }
          expect(done).toBe(count)
        },
      ),
    )
  })
})
