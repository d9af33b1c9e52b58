import { describe, expect, it } from 'vitest'
import { createRefusedRecords, refusedMax } from '../../src/kinesis/refused-records.ts'

const refused = (sequence: number, dueMs: number) => ({ sequence, attempts: 1, dueMs })

describe('refused records', () => {
  it('come back when they are due, once', () => {
    const records = createRefusedRecords()
    records.add(refused(1, 100))
    records.add(refused(2, 200))
    expect(records.nextDueMs()).toBe(100)
    expect(records.takeDue(99)).toEqual([])
    expect(records.takeDue(150)).toEqual([refused(1, 100)])
    expect(records.takeDue(200)).toEqual([refused(2, 200)])
    expect(records.nextDueMs()).toBeUndefined()
  })

  it('are bounded: the one refused first is left to the next start', () => {
    const records = createRefusedRecords()
    for (let sequence = 1; sequence <= refusedMax + 1; sequence++) records.add(refused(sequence, 0))
    const sequences = records.takeDue(0).map(({ sequence }) => sequence)
    expect(sequences).toHaveLength(refusedMax)
    expect(sequences[0]).toBe(2)
  })
})
