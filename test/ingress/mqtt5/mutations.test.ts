import { expect, test } from 'vitest'
import { mutationRun } from './mutation-run.ts'

test.each(['aws', 'open'] as const)(
  '%s: whatever 300 clients send, each is ended with one reason code and one line',
  async (profile) => {
    const { faults, ended } = await mutationRun({ sessions: 300, seed: 1, profile })
    expect(faults).toEqual([])
    expect(ended).toBeGreaterThan(100)
  },
)
