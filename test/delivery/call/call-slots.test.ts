import { expect, test } from 'vitest'
import { createCallSlots } from '../../../src/delivery/call/call-slots.ts'

test('a free slot is offered to the waiting destinations in turn, until one takes it', () => {
  const slots = createCallSlots(1)
  const asked: string[] = []
  const waiter = (name: string, wants: boolean) => {
    const ask = (): void => {
      asked.push(name)
      if (wants) slots.tryTake(ask, false)
    }
    expect(slots.tryTake(ask, false)).toBe(false)
  }
  expect(slots.tryTake(() => expect.fail(), false)).toBe(true)
  waiter('no more', false)
  waiter('first', true)
  waiter('second', true)
  slots.release(false)
  expect(asked).toEqual(['no more', 'first'])
  slots.release(false)
  expect(asked).toEqual(['no more', 'first', 'second'])
  slots.release(false)
  expect(slots.tryTake(() => expect.fail(), false)).toBe(true)
})

test('trials have half of the slots, and one that waits goes before calls while few are tried', () => {
  const slots = createCallSlots(8)
  const went: string[] = []
  const take = (name: string, isTrial: boolean) => {
    const ask = (): void => {
      if (slots.tryTake(ask, isTrial)) went.push(name)
    }
    ask()
  }
  for (const name of ['t1', 't2', 't3', 't4', 't5', 't6']) take(name, true)
  for (const name of ['c1', 'c2', 'c3', 'c4', 'c5', 'c6']) take(name, false)
  expect(went.splice(0)).toEqual(['t1', 't2', 't3', 't4', 'c1', 'c2', 'c3', 'c4'])
  for (let ended = 0; ended < 4; ended++) slots.release(true)
  expect(went.splice(0)).toEqual(['c5', 'c6', 't5', 't6'])
  for (const name of ['c7', 'c8']) take(name, false)
  take('t7', true)
  slots.release(true)
  slots.release(true)
  expect(went.splice(0)).toEqual(['c7', 't7'])
})
