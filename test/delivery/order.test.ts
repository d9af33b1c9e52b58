import { describe, expect, test } from 'vitest'
import { brokenPromise } from './order-promises.ts'

/** The runs wait for each answer, however slow the machine is. */
const timeout = 300_000

describe('order, whatever fails', { timeout }, () => {
  test('key: nothing is lost, calls of a key never overlap, and no failed record is passed', async () => {
    expect(await brokenPromise('key', 100)).toBeUndefined()
  })

  test('strict: nothing is lost, and no two records of a key change places', async () => {
    expect(await brokenPromise('strict', 100)).toBeUndefined()
  })

  test('none: nothing is lost', async () => {
    expect(await brokenPromise('none', 60)).toBeUndefined()
  })
})
