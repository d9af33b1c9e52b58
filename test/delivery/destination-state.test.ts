import { expect, test } from 'vitest'
import { appendRounds, openDelivery, putsOf, until } from './producer-parts.ts'
import type { Delivery } from './producer-parts.ts'

/** How the delivery to the one destination of the outbox goes. */
const stateOf = ({ outbox, producer }: Delivery) =>
  producer.stateOf(outbox.destinations()[0]?.id ?? -1)

/** Resolves once the call that was taken has been acted upon. */
const isAtRest = (delivery: Delivery) => until(() => stateOf(delivery)?.callsInFlight === 0)
const atRest = { state: 'delivering', callsInFlight: 0, throttledShards: 0 }

test('a destination that refuses says why, since when, and what to do', async () => {
  const delivery = await openDelivery({ streams: [], haste: 20 })
  await appendRounds(delivery, ['a'], 10)
  expect(stateOf(delivery)).toBeUndefined()
  delivery.producer.start()
  await until(() => putsOf(delivery).length >= 2)
  await until(() => stateOf(delivery)?.state === 'refusing')
  expect(stateOf(delivery)).toMatchObject({
    reason: { code: 'ResourceNotFoundException' },
    advice: 'create the stream, or correct streamName in the rule',
    refusingMs: expect.any(Number) as number,
    nextTryMs: expect.any(Number) as number,
  })
  delivery.lab.ensureStream('stream')
  await delivery.producer.idle()
  await isAtRest(delivery)
  expect(stateOf(delivery)).toEqual(atRest)
})

test('a destination whose calls fail for a while says why', async () => {
  const delivery = await openDelivery({ haste: 20 })
  const fault = delivery.lab.faults.add({
    effect: { kind: 'error', code: 'InternalFailureException' },
  })
  await appendRounds(delivery, ['a'], 10)
  delivery.producer.start()
  await until(() => fault.appliedCount() >= 2)
  await until(() => stateOf(delivery)?.reason !== undefined)
  expect(stateOf(delivery)).toMatchObject({
    state: 'retrying',
    reason: { code: 'InternalFailureException' },
  })
  fault.remove()
  await delivery.producer.idle()
  await isAtRest(delivery)
  expect(stateOf(delivery)).toEqual(atRest)
})
