import { expect, test } from 'vitest'
import { crashRun } from '../e2e/crash-run.ts'

const timeoutMs = 600_000

test.each([1, 2, 3, 4])(
  'what was acknowledged reaches the stream in order, through 25 `kill -9` under load (seed %i)',
  async (seed) => {
    const result = await crashRun({ kills: 25, clients: 50, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
  },
  timeoutMs,
)

test(
  'and the queue and the table, through 25 `kill -9`',
  async () => {
    const result = await crashRun({ kills: 25, clients: 20, hasServices: true, seed: 5 })
    console.log(JSON.stringify(result))
    expect(result.faults).toEqual([])
  },
  timeoutMs,
)
