import { expect, test } from 'vitest'
import { keptCrashRun } from './kept-crash-run.ts'

const seed = 1
const timeoutMs = 90_000

test(
  'retained messages, queues of sessions and shadows hold what was acknowledged, through two `kill -9`',
  async () => {
    const result = await keptCrashRun({ kills: 2, clients: 3, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
    expect(Math.min(...Object.values(result.arrived))).toBeGreaterThan(10)
  },
  timeoutMs,
)
