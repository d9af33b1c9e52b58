import { expect, test } from 'vitest'
import { kinesisKillRun } from '../e2e/kinesis-kill-run.ts'

test.each([1, 2, 3, 4])(
  'what the local Kinesis answered is there after 25 `kill -9` under writing (seed %i)',
  async (seed) => {
    const result = await kinesisKillRun({ kills: 25, writers: 8, seed })
    console.log(`seed ${seed}: ${JSON.stringify(result)}`)
    expect(result).toMatchObject({ missing: 0, missingReads: 0 })
  },
)
