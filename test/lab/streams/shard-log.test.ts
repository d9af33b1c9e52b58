import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createShardLog } from '../../../src/lab/streams/shard-log.ts'
import type { ShardLog } from '../../../src/lab/streams/shard-log.ts'
import { recordsOf, shardFor } from '../../../src/lab/streams/stream.ts'
import { createStreamNamespaces } from '../../../src/lab/streams/stream-namespaces.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, region } from '../lab-fixtures.ts'

type Step =
  | { readonly kind: 'append'; readonly key: string; readonly data: Uint8Array }
  | { readonly kind: 'wait'; readonly byMs: number }
  | { readonly kind: 'trim'; readonly agoMs: number }
  | { readonly kind: 'drop' }

interface Written {
  readonly key: string
  readonly data: Uint8Array
  readonly ordinal: number
  readonly arrivalMs: number
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        key: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
        data: fc.oneof(
          fc.uint8Array({ maxLength: 20 }),
          fc.nat(6_000).map((size) => new Uint8Array(size).fill(size % 251)),
        ),
      }),
    },
    // The time of day may go back: arrival times must not, and ages go by the monotonic clock.
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        byMs: fc.integer({ min: -50, max: 100 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('trim' as const), agoMs: fc.nat(200) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const) }) },
  ),
  { maxLength: 120 },
)

const oldestMsOf = (log: ShardLog) => log.at(log.firstOrdinal())?.sinceMs ?? Infinity

describe('the log of a shard', () => {
  test('gives back what was put in, in order, whatever is trimmed', () => {
    fc.assert(
      fc.property(steps, (given: readonly Step[]) => {
        let heldBytes = 0
        const log = createShardLog(
          (delta) => {
            heldBytes += delta
          },
          (wallMs) => wallMs,
        )
        const written: Written[] = []
        let wallMs = 1_000
        let nowMs = 7_000
        let outliving = 0
        for (const step of given) {
          switch (step.kind) {
            case 'append': {
              const { ordinal, arrivalMs } = log.append(step.key, step.data, wallMs, nowMs)
              written.push({ ...step, ordinal, arrivalMs })
              break
            }
            case 'wait':
              wallMs += step.byMs
              nowMs += Math.abs(step.byMs)
              break
            case 'trim':
              log.trimBefore(nowMs - step.agoMs)
              outliving += oldestMsOf(log) < nowMs - step.agoMs ? 1 : 0
              break
            case 'drop':
              log.dropOldest()
              break
          }
        }
        expect(written.map((record) => record.ordinal)).toEqual(written.map((_, i) => i + 1))
        const arrivals = written.map((record) => record.arrivalMs)
        expect(arrivals.toSorted((a, b) => a - b)).toEqual(arrivals)
        expect(outliving).toBe(0)
        expect(log.nextOrdinal()).toBe(written.length + 1)
        expect(log.at(log.firstOrdinal() - 1)).toBeUndefined()
        expect(log.at(log.nextOrdinal())).toBeUndefined()
        for (let ordinal = log.firstOrdinal(); ordinal < log.nextOrdinal(); ordinal++) {
          const expected = written[ordinal - 1]
          const record = log.at(ordinal)
          expect(record?.partitionKey).toBe(expected?.key)
          expect(record?.data.equals(expected?.data ?? Buffer.of())).toBe(true)
          expect(record?.arrivalMs).toBe(expected?.arrivalMs)
          expect(record?.ordinal).toBe(ordinal)
        }
        const readable = written.slice(log.firstOrdinal() - 1)
        for (const sinceMs of [0, wallMs, ...readable.map((record) => record.arrivalMs)]) {
          const skipped = readable.filter((record) => record.arrivalMs < sinceMs).length
          expect(log.firstArrivedSince(sinceMs)).toBe(log.firstOrdinal() + skipped)
        }
        while (log.oldestMs() !== undefined) log.dropOldest()
        expect(heldBytes).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})

describe('all logs together', () => {
  test('stay within their memory: the oldest records go first, whichever stream has them', () => {
    const storedBytesMax = 4 * 1024 * 1024
    const clock = createManualClock()
    const dropped: string[] = []
    const streams = createStreamNamespaces({
      clock,
      storedBytesMax,
      onDropped: (name) => dropped.push(name),
    }).in({ region, accountId })
    const data = Buffer.alloc(10_000)
    const keysOf = (name: string) =>
      streams
        .get(name)
        .shards.flatMap((shard) =>
          Array.from(recordsOf(shard), (record) => Number(record.partitionKey)),
        )
    for (const name of ['early', 'late']) {
      const stream = streams.create({ name, shardCount: 2 })
      for (let index = 0; index < 1_000; index++) {
        clock.advance(1)
        streams.append(stream, shardFor(stream, String(index)), String(index), data)
      }
    }
    // 20 MB were written: what is left is the end of the stream that was written last.
    expect(keysOf('early')).toEqual([])
    expect(new Set(dropped)).toEqual(new Set(['early', 'late']))
    const left = keysOf('late').toSorted((a, b) => a - b)
    expect(left.length * data.length).toBeLessThanOrEqual(storedBytesMax)
    expect(left.length * data.length).toBeGreaterThan(storedBytesMax / 4)
    expect(left.at(-1)).toBe(999)
  })

  const put = fc.record({
    shardIndex: fc.nat(5),
    sizeBytes: fc.oneof(fc.nat(100), fc.nat(20_000)),
    waitMs: fc.nat(3),
  })

  test('no record goes before an older one, and most of the memory stays in use', () => {
    fc.assert(
      fc.property(fc.array(put, { minLength: 50, maxLength: 400 }), (puts) => {
        const storedBytesMax = 300_000
        const clock = createManualClock()
        let isFull = false
        const streams = createStreamNamespaces({
          clock,
          storedBytesMax,
          onDropped: () => {
            isFull = true
          },
        }).in({ region, accountId })
        const all = ['busy', 'slow'].map((name) => streams.create({ name, shardCount: 3 }))
        const shards = all.flatMap((stream) => stream.shards.map((shard) => ({ stream, shard })))
        let storedBytes = 0
        for (const { shardIndex, sizeBytes, waitMs } of puts) {
          clock.advance(waitMs)
          const { stream, shard } = shards[shardIndex] ?? shards[0] ?? {}
          if (!stream || !shard) throw new Error('no shard')
          streams.append(stream, shard, 'key', Buffer.alloc(sizeBytes))
          storedBytes += sizeBytes
        }
        const kept = shards.flatMap(({ shard }) => Array.from(recordsOf(shard)))
        const keptBytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
        // A put shares its time with those before and after it at most.
        let atMs = createManualClock().monotonicMs()
        const writtenMs = puts.map(({ waitMs }) => (atMs += waitMs))
        const droppedCount = writtenMs.length - kept.length
        const lastDroppedMs = writtenMs[droppedCount - 1] ?? -Infinity
        for (const { sinceMs } of kept) expect(sinceMs).toBeGreaterThanOrEqual(lastDroppedMs)
        expect(keptBytes).toBeLessThanOrEqual(storedBytesMax)
        const allBytes = storedBytes + puts.length * 'key'.length
        expect(keptBytes).toBeGreaterThanOrEqual(Math.min(allBytes, storedBytesMax / 4))
        expect(droppedCount > 0).toBe(isFull)
      }),
    )
  })

  test('the newest record of a slow stream outlives older ones of a busy stream', () => {
    const clock = createManualClock()
    const streams = createStreamNamespaces({ clock, storedBytesMax: 4 * 1024 * 1024 }).in({
      region,
      accountId,
    })
    const [slow, busy] = ['slow', 'busy'].map((name) => streams.create({ name, shardCount: 1 }))
    if (!slow || !busy) throw new Error('no stream')
    const append = (stream: typeof slow, text: string, sizeBytes: number) => {
      clock.advance(1)
      streams.append(stream, shardFor(stream, text), text, Buffer.alloc(sizeBytes))
    }
    append(slow, 'first', 100)
    for (let index = 0; index < 1_000; index++) append(busy, 'b', 1_000)
    append(slow, 'newest', 100)
    const isBusyCut = () => busy.shards.some(({ log }) => log.firstOrdinal() > 1)
    while (!isBusyCut()) append(busy, 'b', 1_000)
    const keys = slow.shards.flatMap((shard) => Array.from(recordsOf(shard)))
    expect(keys.map(({ partitionKey }) => partitionKey)).toEqual(['newest'])
  })
})
