import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBodyPlaces } from '../../../src/http/server/body-places.ts'
import type { BodyPlace } from '../../../src/http/server/body-places.ts'

const limits = { bodyBytesMax: 100, bodiesPerCallerMax: 3 }

interface Body {
  readonly caller: string
  readonly place: BodyPlace
  bytes: number
  state: 'arriving' | 'held' | 'gone'
}

const step = fc.record({
  kind: fc.constantFrom('enter', 'grow', 'grow', 'arrived', 'leave'),
  caller: fc.constantFrom('a', 'b', 'c'),
  which: fc.nat(20),
  bytes: fc.integer({ min: 1, max: 60 }),
})

test('arriving bodies never hold more than the memory, nor more places than a caller has', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const places = createBodyPlaces(limits)
      const bodies: Body[] = []
      const of = (state: Body['state']) => bodies.filter((body) => body.state === state)
      const sum = (all: readonly Body[]) => all.reduce((total, { bytes }) => total + bytes, 0)
      for (const { kind, caller, which, bytes } of steps) {
        const living = bodies.filter(({ state }) => state !== 'gone')
        const chosen = living[which % Math.max(1, living.length)]
        if (kind === 'enter') {
          const lose = () => void (body.state = 'gone')
          const place = places.enter(caller, lose)
          const body: Body = { caller, place, bytes: 0, state: 'arriving' }
          bodies.push(body)
        } else if (chosen && kind === 'grow' && chosen.state === 'arriving') {
          chosen.bytes += bytes
          chosen.place.grow(bytes)
        } else if (chosen && kind === 'arrived' && chosen.state === 'arriving') {
          chosen.place.arrived()
          chosen.state = 'held'
        } else if (chosen && kind === 'leave') {
          chosen.place.leave()
          chosen.state = 'gone'
        }
        const arriving = of('arriving')
        expect(sum(arriving) + sum(of('held'))).toBeLessThanOrEqual(limits.bodyBytesMax)
        for (const name of ['a', 'b', 'c']) {
          const count = arriving.filter((body) => body.caller === name).length
          expect(count).toBeLessThanOrEqual(limits.bodiesPerCallerMax)
        }
      }
    }),
  )
})

test('the caller that holds most makes room, with the body that has waited longest', () => {
  const places = createBodyPlaces(limits)
  const lost: string[] = []
  const enter = (caller: string, name: string) => places.enter(caller, () => lost.push(name))
  const [a1, a2, b1] = [enter('a', 'a1'), enter('a', 'a2'), enter('b', 'b1')]
  b1.grow(40)
  a1.grow(30)
  a2.grow(20)
  a1.grow(5)
  b1.grow(4)
  expect(lost).toEqual([])
  b1.grow(2)
  expect(lost).toEqual(['a2'])
})
