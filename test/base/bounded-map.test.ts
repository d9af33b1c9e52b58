import { array, assert, constantFrom, integer, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { createBoundedMap } from '../../src/base/bounded-map.ts'

const keyArbitrary = integer({ min: 0, max: 5 })
const stepArbitrary = record({
  kind: constantFrom('set', 'make', 'delete'),
  key: keyArbitrary,
})

test('holds what a list with the oldest in front would hold', () => {
  assert(
    property(integer({ min: 1, max: 4 }), array(stepArbitrary), (entriesMax, steps) => {
      const map = createBoundedMap<number, string | undefined>(entriesMax)
      let model: { key: number; value: string | undefined }[] = []
      for (const [index, { kind, key }] of steps.entries()) {
        const known = model.find((entry) => entry.key === key)
        // Undefined is a value like any other.
        const given = index % 3 === 0 ? undefined : `${index}`
        const value = kind === 'make' && known ? known.value : given
        model = model.filter((entry) => entry.key !== key)
        if (kind === 'delete') map.delete(key)
        else model = [...model, { key, value }].slice(-entriesMax)
        if (kind === 'set') map.set(key, given)
        const got = kind === 'make' ? map.getOrMake(key, () => given) : value
        expect(got).toBe(value)
        expect(map.size).toBe(model.length)
        for (let each = 0; each <= 5; each++) {
          const entry = model.find((one) => one.key === each)
          expect([map.has(each), map.get(each)]).toEqual([entry !== undefined, entry?.value])
        }
      }
    }),
  )
})

test('asks for a value once while it is kept', () => {
  const map = createBoundedMap<string, number>(2)
  const made: string[] = []
  const get = (key: string) => map.getOrMake(key, () => made.push(key))
  for (const key of ['a', 'a', 'b', 'a', 'c', 'a', 'b']) get(key)
  expect(made).toEqual(['a', 'b', 'c', 'b'])
})
