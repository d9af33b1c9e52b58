import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createArrivalLine } from '../../src/outbox/arrival-line.ts'

test('the first of a line is the oldest that has not left, whatever comes and goes', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const) }),
    fc.record({ kind: fc.constant('delete' as const), index: fc.nat(9) }),
    fc.record({ kind: fc.constant('look' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const line = createArrivalLine<object>()
      const model: object[] = []
      for (const taken of steps) {
        if (taken.kind === 'add') {
          const item = {}
          line.add(item)
          model.push(item)
        } else if (taken.kind === 'delete') {
          const [item] = model.splice(taken.index, 1)
          if (item) line.delete(item)
        }
        expect(line.size).toBe(model.length)
        const looked = taken.kind === 'look' ? [line.first(), model[0]] : []
        expect(looked[0]).toBe(looked[1])
      }
      expect(line.first()).toBe(model[0])
    }),
    { numRuns: 500 },
  )
})

/** CPU microseconds for each of so many items that leave a line one after the other. */
function costOfLeaving(count: number): number {
  const line = createArrivalLine<object>()
  for (let added = 0; added < count; added++) line.add({})
  const before = process.cpuUsage()
  for (let item = line.first(); item; item = line.first()) line.delete(item)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

test('an item costs no more in a long line than in a short one', () => {
  costOfLeaving(10_000)
  const short = costOfLeaving(20_000)
  // A search from the front costs ten times as much for ten times as many.
  expect(costOfLeaving(200_000)).toBeLessThan(Math.max(5 * short, 2))
})
