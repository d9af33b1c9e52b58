import { expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { hastyClock, putTexts } from '../consumers/consumer-parts.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { printing, startMappings } from './mapping-parts.ts'

/** Pauses from here on are those of regular work, such as lists of the shards. */
const periodicMs = 60_000
/** More than the first pause and than those between reads; the second one is 1,600 ms or more. */
const firstPauseMsMax = 1_500
/** Longer than the mapping has to read without a failure. */
const quietMs = 61_000

/** The time that passes is told by the test; pauses are noted, and are short. */
function createNotedClock() {
  const pauses: number[] = []
  let aheadMs = 0
  const clock: Clock = {
    ...hastyClock,
    monotonicMs: () => hastyClock.monotonicMs() + aheadMs,
    sleep: (delayMs, signal) => {
      if (delayMs < periodicMs) pauses.push(delayMs)
      return hastyClock.sleep(delayMs, signal)
    },
  }
  return {
    clock,
    pass: (ms: number) => void (aheadMs += ms),
    /** The longest pause since this was asked last. */
    longest: () => Math.max(0, ...pauses.splice(0)),
  }
}

test('the pauses of a mapping grow with failures in a row, and are short after it has read', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  const { clock, pass, longest } = createNotedClock()
  const run = await startMappings(lab, { 'f.mjs': printing() }, { clock })
  const uuid = await run.create({})
  await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')

  /** A fault of so many reads in a row; then a record that is read, handed over and noted. */
  async function failReads(times: number): Promise<void> {
    const known = run.texts().length
    // One that a reader does not retry: the mapping begins to read anew.
    const effect = { kind: 'error', code: 'AccessDeniedException' } as const
    lab.faults.add({ operation: 'GetRecords', times, effect })
    const result = () => String(run.mappings.get(uuid)['LastProcessingResult'])
    await run.until(() => result() === 'PROBLEM: the stream cannot be read')
    await putTexts(kinesis, 's', [String(known)])
    await run.until(() => run.texts().length > known && result() === 'OK')
  }

  await failReads(4)
  expect(longest()).toBeGreaterThan(4 * firstPauseMsMax)
  for (let fault = 1; fault <= 3; fault++) {
    pass(quietMs)
    await failReads(1)
    expect(longest()).toBeLessThan(firstPauseMsMax)
  }
})
