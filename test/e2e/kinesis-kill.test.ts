import { expect, test } from 'vitest'
import { kinesisKillRun } from './kinesis-kill-run.ts'

const seed = 7
const timeoutMs = 90_000

test(
  'what the local Kinesis answered is there after five `kill -9` under writing',
  async () => {
    const result = await kinesisKillRun({ kills: 5, writers: 8, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result).toMatchObject({ missing: 0, missingReads: 0 })
  },
  timeoutMs,
)
