import { expect, test } from 'vitest'
import { createCallSlots } from '../../../src/delivery/call/call-slots.ts'

test('a place that becomes free goes to those that wait, in turn, until one takes it', () => {
  const slots = createCallSlots(1)
  const asked: string[] = []
  const waiter = (name: string, wants: boolean) => {
    const ask = (): void => {
      asked.push(name)
      if (wants) slots.tryTake(ask)
    }
    expect(slots.tryTake(ask)).toBe(false)
  }
  expect(slots.tryTake(() => expect.fail())).toBe(true)
  waiter('no more', false)
  waiter('first', true)
  waiter('second', true)
  slots.release()
  expect(asked).toEqual(['no more', 'first'])
  slots.release()
  expect(asked).toEqual(['no more', 'first', 'second'])
  slots.release()
  expect(slots.tryTake(() => expect.fail())).toBe(true)
})
