import { expect, test } from 'vitest'
import { anyBytesRun } from '../e2e/any-bytes-run.ts'

const timeoutMs = 1_200_000

test.each([1, 2, 3, 4])(
  'whatever bytes 25,000 MQTT clients send, the engine stands and serves the others (seed %i)',
  async (seed) => {
    const result = await anyBytesRun({ sessions: 25_000, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
    expect(result.acknowledged).toBeGreaterThan(1_000)
  },
  timeoutMs,
)
