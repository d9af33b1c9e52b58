import { expect, test } from 'vitest'
import { runCluster } from './cluster-run.ts'

/** Runs of the log in memory; each has its own faults. */
const runs = { inMemory: 250, onDisk: 10, together: 10 }
const seeds = Array.from({ length: runs.inMemory + runs.onDisk }, (_, index) => index)
const groups = seeds
  .filter((seed) => seed % runs.together === 0)
  .map((first) => seeds.slice(first, first + runs.together))

test.each(groups)(
  'nothing is lost or out of order, and the ledger balances: runs from %i on',
  async (...group) => {
    const findings: string[] = []
    let acknowledged = 0
    for (const seed of group) {
      const result = await runCluster(seed, seed >= runs.inMemory)
      acknowledged += result.acknowledged
      findings.push(...result.findings.map((finding) => `run ${seed}: ${finding}`))
    }
    expect(findings).toEqual([])
    expect(acknowledged).toBeGreaterThan(0)
  },
)
