import { expect, test } from 'vitest'
import { mutationRun } from '../ingress/mqtt5/mutation-run.ts'

test.each(['aws', 'open'] as const)(
  '%s: whatever 25,000 clients of MQTT 5 send, each is ended with one reason code and one line',
  async (profile) => {
    const result = await mutationRun({ sessions: 25_000, seed: 2, profile })
    expect(result.faults).toEqual([])
    expect(result.ended).toBeGreaterThan(10_000)
  },
)
