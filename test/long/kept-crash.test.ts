import { expect, test } from 'vitest'
import { keptCrashRun } from '../e2e/kept-crash-run.ts'

const timeoutMs = 900_000

test.each([1, 2])(
  'retained messages, queues and shadows hold what was acknowledged, through 25 `kill -9` (seed %i)',
  async (seed) => {
    const result = await keptCrashRun({ kills: 25, clients: 5, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
  },
  timeoutMs,
)
