import { expect, test } from 'vitest'
import { crashRun } from './crash-run.ts'

const seed = 4
const timeoutMs = 90_000

test(
  'what was acknowledged reaches the stream in order, through three `kill -9` under load',
  async () => {
    const result = await crashRun({ kills: 3, clients: 50, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
    expect(result.acknowledged).toBeGreaterThan(1_000)
  },
  timeoutMs,
)

test(
  'and the queue and the table, through two `kill -9`',
  async () => {
    const result = await crashRun({ kills: 2, clients: 20, hasServices: true, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
    expect(result.acknowledged).toBeGreaterThanOrEqual(20)
  },
  timeoutMs,
)
