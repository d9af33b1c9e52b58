/**
 * `npm run fuzz:sql [-- runs [seed]]`: random statements on messages of 128 KiB, in a process whose
 * heap has 64 MiB for one of them. Prints the slowest, and ends with 1 when one took too long.
 */
import { SluiceError } from '../../../src/base/errors.ts'
import { cpuMsMax, measure } from './measure.ts'
import type { Measured } from './measure.ts'
import { payloads } from './payloads.ts'
import type { PayloadName } from './payloads.ts'
import { pick, randomFrom, randomStatement } from './random-statement.ts'

const [runs = '2000', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2)
const random = randomFrom(Number(seed))
const names = Object.keys(payloads) as PayloadName[]
const texts = new Map(names.map((name) => [name, payloads[name]()]))
const slowest: (Measured & { readonly name: PayloadName; readonly sql: string })[] = []
const counts = { output: 0, failed: 0, refused: 0 }

for (let run = 0; run < Number(runs); run++) {
  const name = pick(random, names)
  const sql = randomStatement(random)
  try {
    const measured = measure(sql, texts.get(name) ?? '')
    if (measured.outcome.startsWith('EvaluationFailed')) throw new Error(measured.outcome)
    counts[measured.outcome.startsWith('{') ? 'output' : 'failed'] += 1
    slowest.push({ ...measured, outcome: measured.outcome.slice(0, 150), name, sql })
    slowest.sort((left, right) => right.cpuMs - left.cpuMs)
    slowest.length = Math.min(slowest.length, 10)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw new Error(`${name}: ${sql}`, { cause: thrown })
    counts.refused += 1
  }
}
console.log(JSON.stringify({ seed: Number(seed), ...counts, cpuMsMax }))
for (const each of slowest) console.log(JSON.stringify(each))
if (slowest.some(({ cpuMs }) => cpuMs > cpuMsMax)) process.exitCode = 1
