import { describe, expect, test } from 'vitest'
import { createMemoryCheckpoints } from '../../src/consumers/checkpoints.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { statusDurationsOf } from '../../src/lab/streams/stream-statuses.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { answered, putTexts, startConsumer } from './consumer-parts.ts'

/**
 * A clock whose short sleeps, the pauses between attempts, last until the test releases them.
 * @param aheadMs how far its time of day is ahead
 */
function createHeldClock(aheadMs = 0) {
  const releasing = new AbortController()
  const clock: Clock = {
    ...systemClock,
    wallMs: () => systemClock.wallMs() + aheadMs,
    sleep: (delayMs, signal) =>
      delayMs < 10_000
        ? systemClock.sleep(60_000, releasing.signal)
        : systemClock.sleep(delayMs, signal),
  }
  return { clock, release: () => releasing.abort() }
}

const expired = { kind: 'error', code: 'ExpiredIteratorException' } as const
const refused = { kind: 'error', code: 'InternalFailure' } as const

describe('a consumer at LATEST gets the records of an outage', () => {
  test.each([
    ['when its first iterator has expired', 'GetRecords', expired, false, 0],
    ['when its first iterator was refused', 'GetShardIterator', refused, false, 0],
    ['when its own clock is ahead', 'GetShardIterator', refused, false, 3_600_000],
    ['when its first subscription was refused', 'SubscribeToShard', refused, true, 0],
    ['when its first subscription was lost', 'SubscribeToShard', { kind: 'dropAnswer' }, true, 0],
    ['by fan-out when its own clock is ahead', 'SubscribeToShard', refused, true, 3_600_000],
  ] as const)('%s', async (_, operation, effect, fanOut, aheadMs) => {
    const lab = await startLab({ statusMs: statusDurationsOf(0) })
    lab.ensureStream('s', 1)
    lab.faults.add({ operation, times: 1, effect })
    const { clock, release } = createHeldClock(aheadMs)
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

test.each([
  ['polling', false],
  ['enhanced fan-out', true],
])(
  'the second start of a consumer at LATEST by %s begins where the first one did',
  async (_, fanOut) => {
    // The time of the service is months away from that of the consumer.
    const clock = createManualClock()
    const lab = await startLab({ clock, statusMs: statusDurationsOf(0) })
    lab.ensureStream('s', 1)
    const kinesis = kinesisClient(lab)
    await putTexts(kinesis, 's', ['before'])
    clock.advance(10_000)
    const options = {
      stream: 's',
      from: 'LATEST',
      fanOut,
      checkpoints: createMemoryCheckpoints(),
    } as const
    const first = await startConsumer(lab, options)
    await first.consumer.stop()
    // More than has really passed, which the consumer adds to the time of the service.
    clock.advance(60_000)
    await putTexts(kinesis, 's', ['between'])
    const second = await startConsumer(lab, options)
    await second.handled(1)
    expect([...first.texts(), ...second.texts()]).toEqual(['between'])
  },
)

test('a subscription at LATEST that expires without a record goes on where it was', async () => {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: statusDurationsOf(0) })
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', ['before'])
  const run = await startConsumer(lab, { stream: 's', from: 'LATEST', fanOut: true })
  clock.advance(310_000)
  await putTexts(kinesis, 's', ['1', '2'])
  await run.handled(2)
  expect(run.texts()).toEqual(['1', '2'])
})
