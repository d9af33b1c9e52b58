import { expect, onTestFinished, test } from 'vitest'
import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import { createProducer } from '../../src/delivery/producer.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { moveClock, moveClockUntil } from '../helpers/move-clock.ts'
import { newRecord, openTestOutbox, temporaryDirectory } from '../outbox/outbox-parts.ts'

/** Nothing answers at these endpoints, and calls to them end after this time. */
const requestTimeoutMs = 15_000
const latencyMs = 20
const maxInFlightTotal = 8
const swallowing = Array.from({ length: 2 * maxInFlightTotal }, (_, index) => `swallows-${index}`)

test('endpoints that swallow packets keep no other destination from its calls', async () => {
  const clock = createManualClock()
  const { outbox, metrics } = await openTestOutbox(temporaryDirectory(), {}, clock)
  const inFlight = { now: 0, most: 0 }
  const failed = new Set<string>()
  const answers: Pick<KinesisCalls, 'put'> = {
    async put({ streamName, records, signal }) {
      inFlight.now += 1
      inFlight.most = Math.max(inFlight.most, inFlight.now)
      const isSwallowed = swallowing.includes(streamName)
      await clock.sleep(isSwallowed ? requestTimeoutMs : latencyMs, signal)
      inFlight.now -= 1
      if (isSwallowed) {
        failed.add(streamName)
        const failure = { code: 'TimeoutError', message: 'no answer', source: 'Kinesis' } as const
        return { answered: false, failure }
      }
      const ok = { ok: true, shardId: 'shardId-000000000000', sequenceNumber: '1' } as const
      return { answered: true, records: records.map(() => ok) }
    },
  }
  const producer = createProducer(
    {
      outbox,
      callsFor: () => ({
        ...answers,
        recordBytesMax: () => Promise.resolve({ kind: 'denied' }),
        listShards: () => Promise.reject(new Error('not asked')),
      }),
      senderFor: ({ kind }) => {
        throw new Error(`no test sends to ${kind} here`)
      },
      clock,
      logger: createMemoryLogger(() => undefined),
      metrics,
    },
    { maxInFlightTotal },
  )
  onTestFinished(async () => {
    await moveClockUntil(clock, producer.stop({ drainMs: 0 }))
    await outbox.close()
  })

  for (const streamName of swallowing) await outbox.append([newRecord(streamName, 'k', '1')])
  producer.start()
  while (failed.size < swallowing.length) await moveClock(clock)
  failed.clear()

  const waits: number[] = []
  for (let count = 0; count < 60; count++) {
    const startMs = clock.monotonicMs()
    await outbox.append([newRecord('answers', 'k', String(count))])
    while (outbox.size().records > swallowing.length) await moveClock(clock)
    waits.push(clock.monotonicMs() - startMs)
    while (clock.monotonicMs() < startMs + 1_000) await moveClock(clock)
  }
  expect(Math.max(...waits)).toBeLessThan(1_000)
  // Nor are they forgotten: each is tried again.
  while (failed.size < swallowing.length) await moveClock(clock)
  expect(inFlight.most).toBeLessThanOrEqual(maxInFlightTotal)
})
