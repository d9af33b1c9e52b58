/**
 * `npm run fuzz:sql [-- runs [seed]]`: random statements on messages of 128 KiB. Prints the slowest
 * and those that took the most memory, and ends with 1 when one took more than its bound.
 */
import { SluiceError } from '../../../src/base/errors.ts'
import { cpuMsMax, isAbove, liveMebibytesMax, measure } from './measure.ts'
import type { Measured } from './measure.ts'
import { payloads } from './payloads.ts'
import type { PayloadName } from './payloads.ts'
import { pick, randomFrom, randomStatement } from './random-statement.ts'

const [runs = '2000', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2)
const random = randomFrom(Number(seed))
const names = Object.keys(payloads) as PayloadName[]
const texts = new Map(names.map((name) => [name, payloads[name]()]))
type Found = Measured & { readonly name: PayloadName; readonly sql: string }
const costliest = {
  cpuMs: [] as Found[],
  peakMebibytes: [] as Found[],
}
const shownMax = 10
const counts = { output: 0, failed: 0, refused: 0 }

for (let run = 0; run < Number(runs); run++) {
  const name = pick(random, names)
  const sql = randomStatement(random)
  try {
    const measured = measure(sql, texts.get(name) ?? '')
    if (measured.outcome.startsWith('EvaluationFailed')) throw new Error(measured.outcome)
    counts[measured.outcome.startsWith('{') ? 'output' : 'failed'] += 1
    const found = { ...measured, outcome: measured.outcome.slice(0, 150), name, sql }
    for (const by of ['cpuMs', 'peakMebibytes'] as const) {
      costliest[by].push(found)
      costliest[by].sort((left, right) => right[by] - left[by])
      costliest[by].length = Math.min(costliest[by].length, shownMax)
    }
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw new Error(`${name}: ${sql}`, { cause: thrown })
    counts.refused += 1
  }
}
const shown = [...new Set([...costliest.cpuMs, ...costliest.peakMebibytes])]
const [largest] = costliest.peakMebibytes
const most = { cpuMs: costliest.cpuMs[0]?.cpuMs, peakMebibytes: largest?.peakMebibytes }
console.log(JSON.stringify({ seed: Number(seed), ...counts, cpuMsMax, liveMebibytesMax, most }))
for (const each of shown) console.log(JSON.stringify(each))
if (shown.some(isAbove)) process.exitCode = 1
