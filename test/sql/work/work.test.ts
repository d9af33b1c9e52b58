/**
 * A process with a small heap survives what one message asks of one rule, and in a bounded time.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { heavyMessages } from './heavy-messages.ts'
import { cpuMsMax, heapMebibytes, liveMebibytesMax } from './measure.ts'
import type { Measured } from './measure.ts'

const timeoutMs = 60_000

/** The lines of JSON that a script of this folder prints. */
async function runInSmallHeap(script: string, ...values: string[]): Promise<unknown[]> {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const options = [`--max-old-space-size=${heapMebibytes}`, '--import', 'tsx', file, ...values]
  const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: timeoutMs })
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

/** Shared machines are up to so many times slower; work without a bound takes far longer. */
const slowerMax = 3

describe('a message that multiplies', () => {
  const measured = new Map<string, Measured>()

  beforeAll(async () => {
    const lines = await runInSmallHeap('measure-heavy-messages.ts')
    for (const line of lines as (Measured & { name: string })[]) measured.set(line.name, line)
  }, timeoutMs)

  test.each(Object.entries(heavyMessages))('%s', (name, { expected }) => {
    const {
      cpuMs = Number.NaN,
      peakMebibytes = Number.NaN,
      outcome = '',
    } = measured.get(name) ?? {}
    expect(outcome.slice(0, expected.length)).toBe(expected)
    expect(cpuMs).toBeLessThan(slowerMax * cpuMsMax)
    expect(peakMebibytes).toBeLessThan(liveMebibytesMax)
  })
})

test(
  'random statements on the largest messages stay within the bounds',
  async () => {
    const [counts] = await runInSmallHeap('fuzz.ts', '200', '20260101')
    expect(counts).toMatchObject({
      output: expect.any(Number),
      failed: expect.any(Number),
      // Statements on 128 KiB take some memory: what is measured is theirs.
      most: { peakMebibytes: expect.toSatisfy((most: number) => most > 1) },
    })
  },
  timeoutMs,
)
