import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RecordOutcome } from '../../src/aws/call/call-outcome.ts'
import { produceInParts } from '../../src/kafka/produce-in-parts.ts'

interface Item {
  readonly id: number
  readonly partition: number
  readonly isBad: boolean
}

const refused = failed('INVALID_RECORD')
const passing = failed('NOT_ENOUGH_REPLICAS')

function failed(code: string): RecordOutcome {
  return { ok: false, failure: { code, message: '', source: 'Kafka' } }
}

const items = fc
  .array(fc.record({ partition: fc.integer({ min: 0, max: 2 }), isBad: fc.boolean() }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((list) => list.map((item, id) => ({ ...item, id })))

test('each bad record is refused alone, and all others are written once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(items, async (records) => {
      const log: Item[] = []
      const outcomes = await produceInParts(records, (part) =>
        Promise.resolve((partition) => {
          const list = part.filter((item) => item.partition === partition)
          if (list.some(({ isBad }) => isBad)) return refused
          log.push(...list.filter((item) => !log.includes(item)))
          return { ok: true }
        }),
      )
      expect(outcomes).toEqual(records.map(({ isBad }) => (isBad ? refused : { ok: true })))
      for (const partition of [0, 1, 2]) {
        const good = records.filter((item) => item.partition === partition && !item.isBad)
        expect(log.filter((item) => item.partition === partition)).toEqual(good)
      }
    }),
  )
})

test('nothing of a partition is written after a record that is sent again later', async () => {
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 10 }), async (records, callsThatWork) => {
      let calls = 0
      const written: Item[] = []
      const outcomes = await produceInParts(records, (part) => {
        calls += 1
        const works = calls <= callsThatWork
        const answers = new Map<number, RecordOutcome>()
        for (const partition of [0, 1, 2]) {
          const list = part.filter((item) => item.partition === partition)
          const isSpoilt = list.some(({ isBad }) => isBad)
          answers.set(partition, works ? (isSpoilt ? refused : { ok: true }) : passing)
          if (works && !isSpoilt) written.push(...list)
        }
        return Promise.resolve((partition) => answers.get(partition) ?? passing)
      })
      for (const partition of [0, 1, 2]) {
        const list = records.filter((item) => item.partition === partition)
        const first = list.find(({ id }) => outcomes[id] === passing)
        const later = first && list.filter(({ id }) => id > first.id)
        expect(written.filter((item) => later?.includes(item))).toEqual([])
      }
    }),
  )
})
