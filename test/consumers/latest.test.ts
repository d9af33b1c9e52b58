import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { statusDurationsOf } from '../../src/lab/streams/stream-statuses.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { answered, putTexts, startConsumer } from './consumer-parts.ts'

/** A clock whose short sleeps, the pauses between attempts, last until the test releases them. */
function createHeldClock() {
  const releasing = new AbortController()
  const clock: Clock = {
    ...systemClock,
    sleep: (delayMs, signal) =>
      delayMs < 10_000
        ? systemClock.sleep(60_000, releasing.signal)
        : systemClock.sleep(delayMs, signal),
  }
  return { clock, release: () => releasing.abort() }
}

describe('a consumer at LATEST gets the records of an outage', () => {
  test.each([
    ['when its first iterator has expired', 'GetRecords', 'ExpiredIteratorException', false],
    ['when its first iterator was refused', 'GetShardIterator', 'InternalFailure', false],
    ['when its first subscription was lost', 'SubscribeToShard', 'InternalFailure', true],
  ] as const)('%s', async (_, operation, code, fanOut) => {
    const lab = await startLab({ statusMs: statusDurationsOf(0) })
    lab.ensureStream('s', 1)
    lab.faults.add({ operation, times: 1, effect: { kind: 'error', code } })
    const { clock, release } = createHeldClock()
    const run = await startConsumer(lab, { stream: 's', from: 'LATEST', fanOut, clock })
    await answered(lab, operation)
    await putTexts(kinesisClient(lab), 's', ['during the outage'])
    release()
    await run.handled(1)
    expect(run.texts()).toEqual(['during the outage'])
  })
})

test.each([
  ['polling', 'GetShardIterator', false],
  ['enhanced fan-out', 'SubscribeToShard', true],
] as const)(
  'a consumer at LATEST by %s has its tips when it is there',
  async (_, operation, fanOut) => {
    const lab = await startLab({ statusMs: statusDurationsOf(0) })
    lab.ensureStream('s', 2)
    lab.faults.add({ operation, effect: { kind: 'delay', delayMs: 200 } })
    const run = await startConsumer(lab, { stream: 's', from: 'LATEST', fanOut })
    await putTexts(kinesisClient(lab), 's', ['1', '2', '3', '4'])
    await run.handled(4)
    expect(run.texts().toSorted()).toEqual(['1', '2', '3', '4'])
  },
)
