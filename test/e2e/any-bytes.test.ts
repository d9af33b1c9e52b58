import { expect, test } from 'vitest'
import { anyBytesRun } from './any-bytes-run.ts'

const seed = 20_261_120
const timeoutMs = 90_000

test(
  'whatever bytes MQTT clients send, the engine stands, keeps nothing, and serves the others',
  async () => {
    const result = await anyBytesRun({ sessions: 2_000, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result.faults).toEqual([])
    expect(result.acknowledged).toBeGreaterThan(100)
  },
  timeoutMs,
)
