import { expect, test } from 'vitest'
import { newRecord } from '../outbox/outbox-parts.ts'
import { openClockedDelivery } from './clocked-delivery.ts'

/** Nothing answers at these endpoints, and calls to them end after this time. */
const requestTimeoutMs = 15_000
const latencyMs = 20
const maxInFlightTotal = 8
const swallowing = Array.from({ length: 2 * maxInFlightTotal }, (_, index) => `swallows-${index}`)

test('endpoints that swallow packets keep no other destination from its calls', async () => {
  const inFlight = { now: 0, most: 0 }
  const failed = new Set<string>()
  const delivery = await openClockedDelivery(
    (clock) => ({
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
    }),
    { maxInFlightTotal },
  )
  const { outbox, producer, clock, moveUntil } = delivery

  for (const streamName of swallowing) await outbox.append([newRecord(streamName, 'k', '1')])
  producer.start()
  await moveUntil(() => failed.size === swallowing.length)
  failed.clear()

  const waits: number[] = []
  for (let count = 0; count < 60; count++) {
    const startMs = clock.monotonicMs()
    await outbox.append([newRecord('answers', 'k', String(count))])
    await moveUntil(() => outbox.size().records === swallowing.length)
    waits.push(clock.monotonicMs() - startMs)
    await moveUntil(() => clock.monotonicMs() >= startMs + 1_000)
  }
  expect(Math.max(...waits)).toBeLessThan(1_000)
  // Nor are they forgotten: each is tried again.
  await moveUntil(() => failed.size === swallowing.length)
  expect(inFlight.most).toBeLessThanOrEqual(maxInFlightTotal)
})
