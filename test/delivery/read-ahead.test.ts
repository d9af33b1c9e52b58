import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  combineLeftOnDisk,
  createKeysLeftOnDisk,
  createLeftOnDisk,
} from '../../src/delivery/queue/left-on-disk.ts'
import {
  createReadAhead,
  createReadBudget,
  readAheadRecordsMax,
} from '../../src/delivery/read-ahead.ts'
import { createShardMap } from '../../src/delivery/shards/shard-map.ts'
import { createShardThrottles } from '../../src/delivery/shards/shard-throttles.ts'
import { uniformRanges } from '../../src/lab/streams/resharding.ts'
import type { QueuedRecord, ReadLimits } from '../../src/outbox/outbox.ts'

/** Of `a`, `b`, `c`, `d`, the second and the last are of one shard. */
const keys = ['a', 'b', 'c', 'd']
const mapOf = (shardCount: number) =>
  createShardMap(
    uniformRanges(shardCount).map((range, index) => ({
      shardId: `${index} of ${shardCount}`,
      ...range,
    })),
  )
const fourShards = mapOf(4)
const eightShards = mapOf(8)
const nothingHeld = { records: 0, bytes: 0 }
const bytesOfRecord = 10

/** A destination's records: on disk, in memory, or settled. */
function openReading(recordsMax: number) {
  const throttles = createShardThrottles(() => 0)
  let map = fourShards
  let onDisk: QueuedRecord[] = []
  let inMemory: QueuedRecord[] = []
  let lastSequence = 0
  const heldFor = (shardId: string) => {
    const records = inMemory.filter((record) => map.shardOfRecord(record) === shardId).length
    return { records, bytes: records * bytesOfRecord }
  }
  const slow = new Set<string>()
  const slowKeys = () => {
    if (slow.size === 0) return undefined
    const records = inMemory.filter(({ partitionKey }) => slow.has(partitionKey)).length
    const held = { records, bytes: records * bytesOfRecord }
    return { has: (partitionKey: string) => slow.has(partitionKey), held }
  }
  const limits = { recordsMax, bytesMax: 1_000_000 }
  const read = (_: number, after: number, { countMax }: ReadLimits) =>
    onDisk.filter(({ sequence }) => sequence > after).slice(0, countMax)
  const shards = { room: throttles, map: () => map }
  const readAhead = createReadAhead({
    outbox: { read },
    destinationId: 1,
    budget: createReadBudget(),
    isGivenUp: () => false,
    leftOnDisk: combineLeftOnDisk(
      createLeftOnDisk(shards, heldFor, limits),
      createKeysLeftOnDisk(slowKeys, limits),
    ),
  })

  function take(records: readonly QueuedRecord[]): readonly QueuedRecord[] {
    inMemory.push(...records)
    return records
  }

  return {
    append(partitionKey: string) {
      lastSequence += 1
      const stored = Buffer.alloc(0)
      const facts = { ruleName: 'rule', actionIndex: 0, acceptedAtMs: 0 }
      const bytes = bytesOfRecord
      const place = { sequence: lastSequence, bytes, stored, data: stored }
      onDisk.push({ partitionKey, ...place, ...facts })
      readAhead.appended()
    },
    throttle(partitionKey: string) {
      const shardId = map.shardOfRecord({ partitionKey }) ?? ''
      throttles.answered(shardId, { delivered: 0, throttled: 1 }, throttles.generation(), 0)
    },
    slowDown(partitionKey: string) {
      slow.add(partitionKey)
    },
    keepUp(partitionKey: string) {
      slow.delete(partitionKey)
    },
    open() {
      throttles.keep(() => false)
      slow.clear()
    },
    reshard() {
      map = map === fourShards ? eightShards : fourShards
      throttles.keep((shardId) => map.has(shardId))
    },
    /** Reads without regard to what is held. */
    read: (countMax: number) =>
      take(readAhead.nextToTry(nothingHeld, { countMax, bytesMax: 1_000_000 })),
    readBeside: (records: number) => take(readAhead.next({ records, bytes: 0 })),
    settle(count: number) {
      const settled = new Set(inMemory.splice(0, count).map(({ sequence }) => sequence))
      onDisk = onDisk.filter(({ sequence }) => !settled.has(sequence))
    },
    restart() {
      inMemory = []
      readAhead.restart()
    },
    isBehind: () => readAhead.isBehind(),
    memory: () => inMemory,
    disk: () => onDisk,
  }
}

const named = (records: readonly QueuedRecord[]) =>
  records.map(({ partitionKey, sequence }) => `${partitionKey}${sequence}`).join(' ')

describe('records of a throttled shard', () => {
  test('stay on disk beyond its share, and are read when fewer are in memory', () => {
    const reading = openReading(2)
    reading.throttle('b')
    for (const key of 'bdabdc') reading.append(key)
    expect(named(reading.read(10))).toBe('b1 d2 a3 c6')
    expect(named(reading.read(10))).toBe('')
    reading.settle(2)
    expect(named(reading.read(10))).toBe('b4 d5')
  })

  test('are passed over until the last of them is read again', () => {
    const reading = openReading(1)
    reading.throttle('b')
    for (const key of 'bbbb') reading.append(key)
    expect(named(reading.read(10))).toBe('b1')
    reading.open()
    expect(named(reading.read(2))).toBe('b2 b3')
    reading.append('b')
    expect(named(reading.read(1))).toBe('b4')
    expect(named(reading.read(10))).toBe('b5')
  })

  test('share the memory of throttled shards', () => {
    const reading = openReading(4)
    reading.throttle('a')
    reading.throttle('b')
    for (const key of 'aaaabbbb') reading.append(key)
    expect(named(reading.read(10))).toBe('a1 a2 b5 b6')
  })

  test('are not passed over when most shards are throttled', () => {
    const reading = openReading(2)
    for (const key of 'abc') reading.throttle(key)
    for (const key of 'aaabbb') reading.append(key)
    expect(named(reading.read(10))).toBe('a1 a2 a3 b4 b5 b6')
  })

  test('are not read again while the memory is full', () => {
    const reading = openReading(1)
    reading.throttle('b')
    for (const key of 'bba') reading.append(key)
    expect(named(reading.read(10))).toBe('b1 a3')
    reading.open()
    expect(named(reading.readBeside(readAheadRecordsMax - 600))).toBe('')
    expect(named(reading.readBeside(600))).toBe('b2')
  })

  test('do not stop the reading of records behind them', () => {
    const reading = openReading(1)
    reading.throttle('b')
    for (let count = 0; count < 20; count++) reading.append('b')
    reading.append('a')
    expect(named(reading.read(2))).toBe('b1')
    expect(named(reading.read(2))).toBe('')
    expect(reading.isBehind()).toBe(true)
    while (reading.isBehind()) reading.read(2)
    expect(named(reading.memory())).toBe('b1 a21')
  })
})

describe('records of a slow key', () => {
  test('stay on disk beyond the share of slow keys, and are read when fewer are in memory', () => {
    const reading = openReading(2)
    reading.slowDown('a')
    reading.slowDown('b')
    for (const key of 'aabcab') reading.append(key)
    expect(named(reading.read(10))).toBe('a1 a2 c4')
    reading.append('a')
    expect(named(reading.read(10))).toBe('')
    reading.settle(2)
    expect(named(reading.read(10))).toBe('b3 a5 b6 a7')
  })

  test('are read again without those of keys that are still slow', () => {
    const reading = openReading(1)
    reading.slowDown('a')
    reading.slowDown('b')
    for (const key of 'aabbab') reading.append(key)
    expect(named(reading.read(10))).toBe('a1')
    reading.keepUp('b')
    expect(named(reading.read(2))).toBe('b3 b4')
    reading.append('b')
    expect(named(reading.read(10))).toBe('b6 b7')
    expect(named(reading.read(10))).toBe('')
    reading.settle(1)
    expect(named(reading.read(10))).toBe('a2 a5')
  })

  test('are left to the shards while records of a throttled shard are passed over', () => {
    const reading = openReading(1)
    reading.throttle('b')
    for (const key of 'bb') reading.append(key)
    expect(named(reading.read(10))).toBe('b1')
    reading.slowDown('a')
    for (const key of 'aa') reading.append(key)
    expect(named(reading.read(10))).toBe('a3 a4')
  })
})

describe('records of a destination that keeps up', () => {
  test('are read a few calls ahead, unless there is little room', () => {
    const reading = openReading(1)
    for (let count = 0; count < 5_000; count++) reading.append('a')
    expect(reading.readBeside(0)).toHaveLength(2_000)
    expect(reading.readBeside(readAheadRecordsMax - 499)).toEqual([])
    expect(reading.readBeside(readAheadRecordsMax - 500)).toHaveLength(500)
  })
})

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('append'), key: fc.nat(3) }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('read'), count: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle'), count: fc.nat(4) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('throttle', 'slowDown', 'keepUp'),
        key: fc.nat(3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom({ kind: 'open' }, { kind: 'reshard' }, { kind: 'restart' }),
    },
  ),
  { maxLength: 120, size: 'max' },
)
type Step = { readonly kind: string; readonly key?: number; readonly count?: number }

describe('any reading', () => {
  test('reads each record once, the records of a key in order, and all in the end', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (run: readonly Step[], recordsMax) => {
        const reading = openReading(recordsMax)

        function expectOrder(): void {
          for (const key of keys) {
            const ofKey = reading.memory().filter(({ partitionKey }) => partitionKey === key)
            const sequences = ofKey.map(({ sequence }) => sequence)
            expect(sequences).toEqual(
              [...new Set(sequences)].toSorted((left, right) => left - right),
            )
            // Whatever is on disk alone is later than all of its key in memory.
            const last = sequences.at(-1) ?? 0
            const earlier = reading
              .disk()
              .filter(({ partitionKey, sequence }) => partitionKey === key && sequence <= last)
            expect(earlier.map(({ sequence }) => sequence)).toEqual(sequences)
          }
        }

        for (const { kind, key = 0, count = 0 } of run) {
          if (kind === 'append') reading.append(keys[key] ?? '')
          else if (kind === 'read') reading.read(count)
          else if (kind === 'settle') reading.settle(count)
          else if (kind === 'throttle') reading.throttle(keys[key] ?? '')
          else if (kind === 'slowDown') reading.slowDown(keys[key] ?? '')
          else if (kind === 'keepUp') reading.keepUp(keys[key] ?? '')
          else if (kind === 'open') reading.open()
          else if (kind === 'reshard') reading.reshard()
          else reading.restart()
          expectOrder()
        }
        for (let time = 0; time < run.length; time++) {
          reading.read(10)
          reading.settle(10)
        }
        expect(reading.disk()).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})
