import { describe, expect, test } from 'vitest'
import { destination, newRecord, newRecordFor } from '../outbox/outbox-parts.ts'
import { appendRounds, openDelivery, putsOf, textsByKey } from './producer-parts.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

describe('the producer', () => {
  test('sends one record with PutRecord and several with PutRecords', async () => {
    const delivery = await openDelivery()
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', 'first')])
    await delivery.producer.idle()
    await delivery.outbox.append(numbers(1_200).map((text) => newRecord('stream', text, text)))
    await delivery.producer.idle()
    expect(putsOf(delivery).map(({ operation }) => operation)).toEqual([
      'PutRecord',
      'PutRecords',
      'PutRecords',
      'PutRecords',
    ])
    expect(delivery.lab.streams.records('stream')).toHaveLength(1_201)
  })

  test('delivers the records that an earlier process left', async () => {
    const delivery = await openDelivery()
    const expected = await appendRounds(delivery, ['a', 'b'], 50)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(delivery.outbox.size().records).toBe(0)
  })

  test('assumes the role once and signs with its credentials', async () => {
    const delivery = await openDelivery({ streams: ['stream', 'other'] })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1'), newRecord('other', 'k', '1')])
    await delivery.producer.idle()
    const assumed = delivery.lab.calls.list().filter(({ operation }) => operation === 'AssumeRole')
    expect(assumed).toHaveLength(1)
    expect(assumed[0]?.accessKeyId).toBe('AKIATEST')
    for (const { accessKeyId } of putsOf(delivery)) expect(accessKeyId).toMatch(/^ASIA/)
  })

  test.each([
    ['a destination', { maxInFlight: 4 }, {}, 4],
    ['all destinations together', {}, { maxInFlightTotal: 3 }, 3],
  ])(
    'keeps to the calls in flight of %s, and uses them',
    async (_, settings, options, expected) => {
      let inFlight = 0
      let inFlightMax = 0
      const delivery = await openDelivery({
        ...options,
        watch: (put) => async (request) => {
          inFlightMax = Math.max(inFlightMax, ++inFlight)
          const outcome = await put(request)
          inFlight -= 1
          return outcome
        },
      })
      delivery.lab.faults.add({ effect: { kind: 'delay', delayMs: 5 }, operation: 'PutRecords' })
      const to = destination('stream', settings)
      await delivery.outbox.append(numbers(5_000).map((text) => newRecordFor(to, text, text)))
      delivery.producer.start()
      await delivery.producer.idle()
      expect(inFlightMax).toBe(expected)
      expect(delivery.lab.streams.records('stream')).toHaveLength(5_000)
    },
  )

  test('keeps its calls within the size limit of Kinesis', async () => {
    const delivery = await openDelivery()
    const large = 'x'.repeat(900_000)
    await delivery.outbox.append(
      numbers(14).map((text) => newRecord('stream', text, `${text} ${large}`)),
    )
    delivery.producer.start()
    await delivery.producer.idle()
    const calls = putsOf(delivery).map(({ partitionKeys }) => partitionKeys.length)
    expect(calls.toSorted((left, right) => left - right)).toEqual([4, 5, 5])
  })

  test('starts no call while the disk is behind with removals', async () => {
    let asked = 0
    const callsWhenAsked: number[] = []
    const delivery = await openDelivery({
      removalsPending() {
        asked += 1
        callsWhenAsked.push(putsOf(delivery).length)
        return asked > 5 ? 0 : 1_000_000
      },
    })
    await delivery.outbox.append(numbers(700).map((text) => newRecord('stream', text, text)))
    delivery.producer.start()
    await delivery.producer.idle()
    expect(callsWhenAsked.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0])
    expect(delivery.lab.streams.records('stream')).toHaveLength(700)
  })

  test('starts the next call of a backlog in the next turn of the event loop', async () => {
    let turn = 0
    const calls: { readonly turn: number; readonly answered: number }[] = []
    let answered = 0
    const delivery = await openDelivery({
      watch: (put) => async (request) => {
        calls.push({ turn, answered })
        const outcome = await put(request)
        answered += 1
        return outcome
      },
    })
    await delivery.outbox.append(numbers(5_000).map((text) => newRecord('stream', text, text)))
    let immediate = setImmediate(function count() {
      turn += 1
      immediate = setImmediate(count)
    })
    delivery.producer.start()
    await delivery.producer.idle()
    clearImmediate(immediate)
    expect(calls).toHaveLength(10)
    for (const [index, call] of calls.entries()) {
      // One a turn, and one for each answer.
      expect(index).toBeLessThanOrEqual(call.turn + call.answered + 1)
    }
  })

  test('reads ahead within its bounds and still delivers everything', async () => {
    const delivery = await openDelivery()
    const count = 15_000
    await delivery.outbox.append(numbers(count).map((text) => newRecord('stream', 'k', text)))
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(numbers(count))
  })
})
