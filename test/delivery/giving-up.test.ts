import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Failure } from '../../src/aws/call/failure-class.ts'
import type { OnGivenUp, GivenUpRecord } from '../../src/delivery/producer.ts'
import type { FaultEffect } from '../../src/lab/faults/faults.ts'
import type { DeliverySettings, Outbox } from '../../src/outbox/outbox.ts'
import { destination, newRecord, newRecordFor } from '../outbox/outbox-parts.ts'
import { openClockedDelivery } from './clocked-delivery.ts'
import { metricLines, openDelivery, putsOf, textsByKey, until } from './producer-parts.ts'

const refused: FaultEffect = {
  kind: 'error',
  code: 'ValidationException',
  message: 'one of the records is not valid',
}
const missing: Failure = {
  code: 'ResourceNotFoundException',
  message: 'no stream',
  source: 'Kinesis',
}
const age = (maxAgeMs: number): Partial<DeliverySettings> => ({ retry: { maxAgeMs } })
const lettersOf = (outbox: Outbox) =>
  outbox.deadLetters.list().deadLetters.map((letter) => ({
    text: letter.data.toString(),
    code: letter.reason.code,
    topic: letter.source.topic,
  }))
const ofMain = (outbox: Outbox) =>
  outbox.ledger('telemetry').find(({ actionIndex }) => actionIndex === 0)

/** Notes what it is asked, and answers for each record. */
function createHook(
  answer: (out: GivenUpRecord) => Awaited<ReturnType<OnGivenUp>>['replacements'][number],
) {
  const asked: GivenUpRecord[] = []
  const durable: number[] = []
  const onGivenUp: OnGivenUp = (records) => {
    asked.push(...records)
    const onDurable = () => void durable.push(records.length)
    return Promise.resolve({ replacements: records.map(answer), onDurable })
  }
  return { asked, durable, onGivenUp }
}

describe('a record that Kinesis will never take', () => {
  test('is found among the records of its call and becomes a dead letter at once', async () => {
    const delivery = await openDelivery({ haste: 20 })
    delivery.lab.faults.add({ partitionKey: 'bad', effect: refused })
    await delivery.outbox.append([
      ...['1', '2', '3'].map((text) => newRecord('stream', 'good', text)),
      newRecord('stream', 'bad', '4'),
      newRecord('stream', 'other', '5'),
    ])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(
      new Map([
        ['good', ['1', '2', '3']],
        ['other', ['5']],
      ]),
    )
    expect(lettersOf(delivery.outbox)).toEqual([
      { text: '4', code: 'ValidationException', topic: 'a/b' },
    ])
    expect(delivery.outbox.deadLetters.list().deadLetters[0]).toMatchObject({ attempts: 2 })
    expect(ofMain(delivery.outbox)).toMatchObject({
      accepted: 5,
      delivered: 4,
      queued: 0,
      deadLettered: 1,
      dropped: 0,
    })
    expect(delivery.lines).toMatchObject([
      { level: 'error', code: 'ValidationException', records: 1, deadLetters: 1 },
    ])
    const failed = { code: 'ValidationException', reason: 'one of the records is not valid' }
    expect(delivery.metrics.ruleStatistics.ofAction('telemetry', '0')).toMatchObject({
      givenUp: 1,
      lastFailure: { ...failed, state: 'givenUp' },
    })
  })

  test('goes to the error action of its rule in the same transaction', async () => {
    const { asked, durable, onGivenUp } = createHook(({ record }) =>
      record.partitionKey === 'bad'
        ? [{ ...newRecord('errors', 'k', 'document'), actionIndex: -1 }]
        : undefined,
    )
    const delivery = await openDelivery({ haste: 20, streams: ['stream', 'errors'], onGivenUp })
    delivery.lab.faults.add({ streamName: 'stream', effect: refused })
    await delivery.outbox.append([newRecord('stream', 'bad', '1'), newRecord('stream', 'k', '2')])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'errors').get('k')).toEqual(['document'])
    expect(lettersOf(delivery.outbox).map(({ text }) => text)).toEqual(['2'])
    expect(asked.map(({ record }) => record.source.topic)).toEqual(['a/b', 'a/b'])
    expect(durable).toHaveLength(2)
    expect(ofMain(delivery.outbox)).toMatchObject({ accepted: 2, delivered: 1, handedOver: 1 })
    expect(delivery.outbox.ledger('telemetry')[0]).toMatchObject({ actionIndex: -1, delivered: 1 })
  })

  test('becomes a dead letter when its error action fails', async () => {
    const delivery = await openDelivery({
      onGivenUp: () => Promise.reject(new Error('no such function')),
    })
    delivery.lab.faults.add({ streamName: 'stream', effect: refused })
    await delivery.outbox.append([newRecord('stream', 'k', '1')])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(lettersOf(delivery.outbox)).toHaveLength(1)
  })

  test('is given up once, although what is called afterwards throws', async () => {
    const delivery = await openDelivery({
      haste: 20,
      streams: ['stream', 'errors'],
      onGivenUp: (records) =>
        Promise.resolve({
          replacements: records.map(({ record }) =>
            record.partitionKey === 'bad'
              ? [{ ...newRecord('errors', 'k', 'document'), actionIndex: -1 }]
              : undefined,
          ),
          onDurable() {
            throw new Error('no subscriber')
          },
        }),
    })
    delivery.lab.faults.add({ streamName: 'stream', effect: refused })
    await delivery.outbox.append([newRecord('stream', 'bad', '1'), newRecord('stream', 'k', '2')])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'errors').get('k')).toEqual(['document'])
    expect(lettersOf(delivery.outbox).map(({ text }) => text)).toEqual(['2'])
    expect(ofMain(delivery.outbox)).toMatchObject({
      accepted: 2,
      delivered: 1,
      handedOver: 1,
      deadLettered: 1,
      queued: 0,
    })
    expect(delivery.lines.filter(({ reason }) => reason === 'no subscriber')).not.toEqual([])
  })

  test('over 1 MiB is not sent unless the stream takes larger records', async () => {
    const delivery = await openDelivery()
    await delivery.outbox.append([
      newRecord('stream', 'k', 'x'.repeat(1_048_576)),
      newRecord('stream', 'k', 'small'),
    ])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['small'])
    expect(lettersOf(delivery.outbox)).toMatchObject([{ code: 'RecordTooLarge' }])
    const asked = delivery.lab.calls
      .list()
      .filter(({ operation }) => operation === 'DescribeStreamSummary')
    expect(asked).toHaveLength(1)
  })

  test('over 1 MiB waits while the limit of the stream cannot be read', async () => {
    const delivery = await openDelivery({ haste: 50 })
    delivery.lab.faults.add({
      operation: 'DescribeStreamSummary',
      effect: { kind: 'error', code: 'LimitExceededException' },
      times: 2,
    })
    await delivery.outbox.append([newRecord('stream', 'k', 'x'.repeat(1_048_576))])
    delivery.producer.start()
    await delivery.producer.idle()
    expect(lettersOf(delivery.outbox)).toMatchObject([{ code: 'RecordTooLarge' }])
    const asked = delivery.lab.calls
      .list()
      .filter(({ operation }) => operation === 'DescribeStreamSummary')
    expect(asked).toHaveLength(3)
  })
})

describe('a destination that refuses everything', () => {
  test('keeps its records until they are too old, and gives them up oldest first', async () => {
    const { asked, onGivenUp } = createHook(() => undefined)
    let puts = 0
    const { outbox, producer, moveUntil } = await openClockedDelivery(
      (clock) => ({
        async put() {
          puts += 1
          await clock.sleep(20)
          return { answered: false, failure: missing }
        },
      }),
      { onGivenUp },
    )
    const to = destination('stream', age(120_000))
    const texts = Array.from({ length: 1_200 }, (_, index) => String(index))
    await outbox.append(texts.map((text) => newRecordFor(to, 'k', text)))
    producer.start()
    await moveUntil(() => outbox.size().records === 0)
    expect(puts).toBeGreaterThan(4)
    expect(puts).toBeLessThan(40)
    expect(asked.map(({ record }) => record.data.toString())).toEqual(texts)
    const [first] = asked
    expect(first?.reason.code).toBe('ResourceNotFoundException')
    expect(first?.attempts).toBeGreaterThan(4)
    expect((first?.lastMs ?? 0) - (first?.firstMs ?? 0)).toBeGreaterThanOrEqual(60_000)
    expect(outbox.deadLetters.size().records).toBe(1_200)
    expect(ofMain(outbox)).toMatchObject({ accepted: 1_200, deadLettered: 1_200 })
  })

  test('never gives up a record because of a failure that passes', async () => {
    const delivery = await openDelivery({ haste: 2_000 })
    const fault = delivery.lab.faults.add({ effect: { kind: 'html', status: 503 } })
    await delivery.outbox.append([newRecordFor(destination('stream', age(0)), 'k', '1')])
    delivery.producer.start()
    await until(() => fault.appliedCount() >= 20)
    expect(delivery.outbox.size().records).toBe(1)
    fault.remove()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['1'])
  })

  test('gets its dead letters in order when they are replayed', async () => {
    const delivery = await openDelivery({ streams: [], haste: 2_000 })
    const to = destination('stream', age(0))
    await delivery.outbox.append(['1', '2', '3'].map((text) => newRecordFor(to, 'k', text)))
    delivery.producer.start()
    await until(() => delivery.outbox.deadLetters.size().records === 3)
    delivery.lab.ensureStream('stream')
    const result = await delivery.outbox.deadLetters.replay({}, 'asIs')
    expect(result).toEqual({ count: 3, kept: 0 })
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream').get('k')).toEqual(['1', '2', '3'])
    expect(ofMain(delivery.outbox)).toMatchObject({ accepted: 3, delivered: 3, deadLettered: 0 })
    expect(await metricLines(delivery, 'sluice_records_dead_lettered_total')).toEqual([
      'sluice_records_dead_lettered_total{rule="telemetry",action="0"} 3',
    ])
  })
})

test('calls go on after more than 5,000 records were being given up at once', async () => {
  const failure = { code: 'InvalidArgumentException', message: 'no', source: 'Kinesis' } as const
  let inFlight = 0
  let refusedCount = 0
  const letGo = new AbortController()
  const held = once(letGo.signal, 'abort')
  const delivery = await openDelivery({
    readAheadBytesMax: 200_000,
    watch:
      () =>
      async ({ records }) => {
        inFlight += 1
        await new Promise((resolve) => setImmediate(resolve))
        inFlight -= 1
        refusedCount += records.length
        return { answered: true, records: records.map(() => ({ ok: false, failure })) }
      },
    async onGivenUp() {
      await held
      return { replacements: [] }
    },
  })
  const records = Array.from({ length: 100 }, (_, index) =>
    newRecord('stream', `${index}`, 'x'.repeat(2_000)),
  )
  await Promise.all(Array.from({ length: 150 }, () => delivery.outbox.append(records)))
  delivery.producer.start()
  await until(() => refusedCount > 5_000 && inFlight === 0)
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  const before = refusedCount
  expect(before).toBeLessThan(15_000)
  letGo.abort()
  await delivery.producer.idle()
  expect(refusedCount).toBe(15_000)
})

test('a destination without records is not failing any more', async () => {
  const delivery = await openDelivery({ streams: [], haste: 150 })
  await delivery.outbox.append([newRecordFor(destination('stream', age(120_000)), 'k', 'text')])
  delivery.producer.start()
  await until(() => putsOf(delivery).length > 1)
  expect(await metricLines(delivery, 'sluice_destination_failing')).toEqual([
    'sluice_destination_failing{stream="stream",code="ResourceNotFoundException"} 1',
  ])
  await delivery.producer.idle()
  await new Promise((resolve) => setImmediate(resolve))
  expect(await metricLines(delivery, 'sluice_destination_failing')).toEqual([])
})
