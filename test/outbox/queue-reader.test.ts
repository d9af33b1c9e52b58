import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { QueuedRecord } from '../../src/outbox/outbox.ts'
import { createUnreadRecords } from '../../src/outbox/queue-reader.ts'

const one = 1
const record = (sequence: number, bytes = 10): QueuedRecord => ({
  sequence,
  bytes,
  stored: Buffer.alloc(bytes),
  ruleName: 'r',
  actionIndex: 0,
  acceptedAtMs: 0,
  partitionKey: 'k',
  data: Buffer.alloc(0),
})
const sequencesOf = (records: readonly QueuedRecord[] | undefined) =>
  records?.map(({ sequence }) => sequence)
const all = { countMax: 100, bytesMax: 1_000_000 }

describe('records that were not read yet', () => {
  test('are read in order, each once, within the limits of the read', () => {
    const unread = createUnreadRecords(0)
    for (const sequence of [1, 2, 5]) unread.add(one, record(sequence))
    expect(sequencesOf(unread.take(one, 0, { countMax: 2, bytesMax: 100 }))).toEqual([1, 2])
    expect(sequencesOf(unread.take(one, 2, all))).toEqual([5])
    expect(sequencesOf(unread.take(one, 5, all))).toEqual([])
  })

  test('are read one at least, however large it is', () => {
    const unread = createUnreadRecords(0)
    for (const sequence of [1, 2]) unread.add(one, record(sequence, 50))
    expect(sequencesOf(unread.take(one, 0, { countMax: 9, bytesMax: 10 }))).toEqual([1])
  })

  test('leave records of an earlier process to the disk', () => {
    const unread = createUnreadRecords(7)
    unread.add(one, record(8))
    expect(unread.take(one, 6, all)).toBeUndefined()
    expect(sequencesOf(unread.take(one, 7, all))).toEqual([8])
  })

  test('are not read again when a reader starts anew: the disk knows the deliveries since', () => {
    const unread = createUnreadRecords(0)
    for (const sequence of [1, 2, 3]) unread.add(one, record(sequence))
    unread.take(one, 0, { countMax: 2, bytesMax: 100 })
    expect(unread.take(one, 0, all)).toBeUndefined()
    unread.passed(one, 3)
    expect(sequencesOf(unread.take(one, 3, all))).toEqual([])
  })

  test('are not read again when the disk gave them before they were added here', () => {
    const unread = createUnreadRecords(0)
    unread.passed(one, 4)
    for (const sequence of [4, 6]) unread.add(one, record(sequence))
    expect(sequencesOf(unread.take(one, 4, all))).toEqual([6])
  })

  test('are bounded: records that do not fit are read from disk', () => {
    const unread = createUnreadRecords(0)
    const mebibyte = 2 ** 20
    for (let sequence = 1; sequence <= 17; sequence++) unread.add(one, record(sequence, mebibyte))
    expect(unread.take(one, 0, all)).toBeUndefined()
    expect(sequencesOf(unread.take(one, 17, all))).toEqual([])
  })
})

test('a destination that reads nothing does not keep the memory that others need', () => {
  const unread = createUnreadRecords(0)
  let sequence = 0
  const add = (destinationId: number, count: number) => {
    for (let added = 0; added < count; added++) {
      sequence += 1
      unread.add(destinationId, record(sequence))
    }
  }
  const [failing, busy] = [1, 2]
  add(failing, 20_000)
  let readUpTo = 0
  for (let round = 0; round < 50; round++) {
    add(failing, 500)
    const after = sequence
    add(busy, 500)
    const newest = unread.take(busy, readUpTo, { countMax: 1_000, bytesMax: 1_000_000 })
    expect(sequencesOf(newest)).toEqual(Array.from({ length: 500 }, (_, at) => after + 1 + at))
    readUpTo = sequence
  }
})

test('a reader of the newest in memory and the rest on disk sees each record once, in order', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ append: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ read: fc.integer({ min: 1, max: 6 }) }),
      fc.constant({ restart: true } as const),
      fc.constant({ announceLater: true } as const),
    ),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 3 }), (taken, before) => {
      const unread = createUnreadRecords(before)
      const disk = Array.from({ length: before }, (_, index) => record(index + 1))
      let announced = before
      let after = 0
      let seen: number[] = []
      const announce = () => {
        for (const each of disk.slice(announced)) unread.add(one, each)
        announced = disk.length
      }
      for (const step of taken) {
        if ('append' in step) {
          for (let count = step.append; count > 0; count--) disk.push(record(disk.length + 1))
          announce()
        } else if ('announceLater' in step) {
          disk.push(record(disk.length + 1))
        } else if ('restart' in step) {
          after = 0
          seen = []
        } else {
          const limits = { countMax: step.read, bytesMax: 1_000 }
          const newest = unread.take(one, after, limits)
          const read = newest ?? disk.slice(after, after + step.read)
          if (newest === undefined) unread.passed(one, read.at(-1)?.sequence ?? after)
          after = read.at(-1)?.sequence ?? after
          seen.push(...read.map(({ sequence }) => sequence))
        }
        expect(seen).toEqual(seen.map((_, index) => index + 1))
      }
      announce()
      const rest = unread.take(one, after, all) ?? disk.slice(after)
      expect([...seen, ...rest.map(({ sequence }) => sequence)]).toHaveLength(disk.length)
    }),
  )
})
