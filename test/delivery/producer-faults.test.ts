import { describe, expect, test } from 'vitest'
import type { FaultEffect, FaultRule } from '../../src/lab/faults/faults.ts'
import { destination, newRecord, newRecordFor } from '../outbox/outbox-parts.ts'
import { openClockedDelivery } from './clocked-delivery.ts'
import {
  appendRounds,
  metricLines,
  openDelivery,
  putsOf,
  textsByKey,
  until,
  withoutDuplicates,
} from './producer-parts.ts'

const keys = ['a', 'b', 'c', 'd', 'e']
const error = (code: string, message?: string): FaultEffect => ({
  kind: 'error',
  code,
  ...(message === undefined ? {} : { message }),
})
const deniedMessage =
  'User: arn:aws:sts::000000000000:assumed-role/r/sluice is not authorized to perform: ' +
  'kinesis:PutRecords on resource: stream'

describe('faults that pass', () => {
  test.each<[string, FaultRule]>([
    [
      'entries that fail inside Kinesis',
      { effect: { kind: 'failEntries', code: 'InternalFailure' }, probability: 0.3 },
    ],
    [
      'entries that are throttled',
      {
        effect: { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' },
        probability: 0.3,
      },
    ],
    [
      'a call that is throttled',
      { operation: 'PutRecords', effect: error('LimitExceededException'), times: 2 },
    ],
    ['a fault of the service', { effect: error('InternalFailureException'), times: 3 }],
    ['a page of HTML', { effect: { kind: 'html', status: 503 }, times: 3 }],
    ['a cut connection', { effect: { kind: 'dropCall' }, times: 3 }],
    [
      'an STS that fails',
      { operation: 'AssumeRole', effect: { kind: 'html', status: 503 }, times: 2 },
    ],
  ])('%s: everything arrives once, in order for each key', async (_, rule) => {
    const delivery = await openDelivery({ haste: 50 })
    delivery.lab.faults.add(rule)
    delivery.producer.start()
    const expected = await appendRounds(delivery, keys, 40)
    await delivery.producer.idle()
    const texts = textsByKey(delivery.lab, 'stream')
    for (const key of keys) {
      expect(texts.get(key)?.toSorted()).toEqual(expected.get(key)?.toSorted())
    }
    expect(await metricLines(delivery, 'sluice_records_delivered_total')).toEqual([
      'sluice_records_delivered_total{rule="telemetry",action="0"} 200',
    ])
  })

  test('a lost answer duplicates records and loses none', async () => {
    const delivery = await openDelivery({ haste: 50 })
    delivery.lab.faults.add({
      operation: 'PutRecords',
      effect: { kind: 'dropAnswer' },
      times: 2,
    })
    const expected = await appendRounds(delivery, keys, 20)
    delivery.producer.start()
    await delivery.producer.idle()
    const texts = textsByKey(delivery.lab, 'stream')
    expect([...texts.values()].flat()).toHaveLength(300)
    for (const key of keys) {
      expect(withoutDuplicates(texts.get(key) ?? [])).toEqual(expected.get(key))
    }
  })

  test('counts records that are sent again by error code', async () => {
    const delivery = await openDelivery({ haste: 50 })
    delivery.lab.faults.add({
      effect: { kind: 'failEntries', code: 'InternalFailure' },
      times: 3,
    })
    await appendRounds(delivery, keys, 1)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(await metricLines(delivery, 'sluice_records_retried_total')).toEqual([
      'sluice_records_retried_total{stream="stream",code="InternalFailure"} 3',
    ])
    expect(await metricLines(delivery, 'sluice_kinesis_calls_total')).toEqual(
      expect.arrayContaining([
        'sluice_kinesis_calls_total{operation="PutRecords",outcome="partial"} 1',
      ]),
    )
  })

  test.each(['ExpiredTokenException', 'UnrecognizedClientException', 'InvalidClientTokenId'])(
    'a session that is refused with %s is replaced before the next call',
    async (code) => {
      const delivery = await openDelivery({ haste: 50 })
      delivery.lab.faults.add({ operation: 'PutRecord', effect: error(code), times: 1 })
      delivery.producer.start()
      await delivery.outbox.append([newRecord('stream', 'k', '1')])
      await delivery.producer.idle()
      const operations = delivery.lab.calls.list().map(({ operation }) => operation)
      expect(operations).toEqual(['AssumeRole', 'PutRecord', 'AssumeRole', 'PutRecord'])
      const [refused, taken] = putsOf(delivery)
      expect(taken?.accessKeyId).not.toBe(refused?.accessKeyId)
    },
  )
})

describe('conditions of the destination', () => {
  test('with a role that allows only PutRecord each call has one record, and the log says so once', async () => {
    const delivery = await openDelivery()
    delivery.lab.faults.add({
      operation: 'PutRecords',
      effect: error('AccessDeniedException', deniedMessage),
    })
    const expected = await appendRounds(delivery, keys, 10)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(putsOf(delivery).filter(({ operation }) => operation === 'PutRecords')).toHaveLength(1)
    expect(delivery.lines.map(({ msg }) => msg)).toEqual([
      'role denies the batch operation: one record a call',
    ])
  })

  test('a missing stream is waited for: one line in the log, a metric, and no record lost', async () => {
    const delivery = await openDelivery({ streams: [], haste: 20 })
    const expected = await appendRounds(delivery, keys, 10)
    delivery.producer.start()
    await until(() => putsOf(delivery).length >= 4)
    expect(delivery.lines).toMatchObject([
      {
        level: 'error',
        stream: 'stream',
        code: 'ResourceNotFoundException',
        waiting: 50,
        advice: 'create the stream, or correct streamName in the rule',
      },
    ])
    const failing = 'sluice_destination_failing'
    expect(await metricLines(delivery, failing)).toEqual([
      `${failing}{stream="stream",code="ResourceNotFoundException"} 1`,
    ])
    delivery.lab.ensureStream('stream')
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(delivery.lines.at(-1)).toMatchObject({ msg: 'the target is written to again' })
    expect(await metricLines(delivery, failing)).toEqual([])
  })

  test('logs once a minute that records wait', async () => {
    const failure = {
      code: 'ResourceNotFoundException',
      message: 'none',
      source: 'Kinesis',
    } as const
    let puts = 0
    const { outbox, producer, clock, lines, moveUntil } = await openClockedDelivery(
      (callClock) => ({
        async put() {
          puts += 1
          await callClock.sleep(20)
          return { answered: false, failure }
        },
      }),
    )
    await outbox.append(keys.map((key) => newRecord('stream', key, '1')))
    const startMs = clock.monotonicMs()
    producer.start()
    await moveUntil(() => lines.length >= 3)
    // A line a minute, and calls at up to 60 s: never a hot loop.
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(120_000)
    expect(puts).toBeGreaterThan(lines.length)
    expect(puts).toBeLessThan(30)
  })

  test('a missing stream is created where the engine was told how, and no error is logged', async () => {
    const made: string[] = []
    const delivery = await openDelivery({
      streams: [],
      async makeStream({ streamName: name }) {
        made.push(name)
        await Promise.resolve()
        delivery.lab.ensureStream(name)
      },
    })
    const expected = await appendRounds(delivery, keys, 10)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(made).toEqual(['stream'])
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(delivery.lines).toEqual([])
  })

  test('a stream that cannot be created is waited for', async () => {
    const delivery = await openDelivery({
      streams: [],
      haste: 20,
      makeStream: () => Promise.reject(new Error('no room')),
    })
    await appendRounds(delivery, keys, 1)
    delivery.producer.start()
    await until(() => delivery.lines.length > 0)
    expect(delivery.lines[0]).toMatchObject({ level: 'error', reason: 'no room' })
    delivery.lab.ensureStream('stream')
    await delivery.producer.idle()
    expect(delivery.lab.streams.records('stream')).toHaveLength(5)
  })

  test('a role that STS refuses is waited for, without a call to Kinesis', async () => {
    const delivery = await openDelivery({ haste: 20 })
    const refusal = delivery.lab.faults.add({
      operation: 'AssumeRole',
      effect: error('AccessDenied', 'not authorized to perform: sts:AssumeRole'),
    })
    const expected = await appendRounds(delivery, keys, 3)
    delivery.producer.start()
    await until(() => refusal.appliedCount() >= 3)
    expect(putsOf(delivery)).toEqual([])
    expect(delivery.lines).toMatchObject([
      { source: 'AssumeRole', code: 'AccessDenied', advice: /trust policy/ },
    ])
    refusal.remove()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
  })

  test('a destination that waits delays no other destination', async () => {
    const delivery = await openDelivery()
    delivery.producer.start()
    await delivery.outbox.append(
      Array.from({ length: 600 }, () => newRecord('missing', 'k', 'waits')),
    )
    await delivery.outbox.append([newRecord('stream', 'k', 'goes')])
    await until(() => delivery.outbox.size().records === 600)
    expect(textsByKey(delivery.lab, 'stream')).toEqual(new Map([['k', ['goes']]]))
  })
})

describe('stopping', () => {
  test('lets calls in flight finish, starts no other, and leaves the rest on disk', async () => {
    const delivery = await openDelivery({ haste: 1 })
    delivery.lab.faults.add({ effect: { kind: 'delay', delayMs: 50 }, operation: 'PutRecords' })
    await appendRounds(delivery, keys, 200, { maxInFlight: 1 })
    delivery.producer.start()
    await until(() => delivery.lab.calls.list().length > 0)
    await delivery.producer.stop({ drainMs: 5_000 })
    expect(putsOf(delivery)).toHaveLength(1)
    expect(delivery.outbox.size().records).toBe(500)
    await appendRounds(delivery, keys, 1, { maxInFlight: 1 })
    expect(putsOf(delivery)).toHaveLength(1)
  })

  test.each(['PutRecord', 'AssumeRole'])(
    'gives up a call that waits for %s longer than the drain',
    async (operation) => {
      let begun = false
      const delivery = await openDelivery({
        haste: 1,
        watch: (put) => (request) => {
          begun = true
          return put(request)
        },
      })
      delivery.lab.faults.add({ effect: { kind: 'delay', delayMs: 60_000 }, operation })
      delivery.producer.start()
      await delivery.outbox.append([newRecord('stream', 'k', '1')])
      await until(() => begun)
      await delivery.producer.stop({ drainMs: 20 })
      expect(delivery.outbox.size().records).toBe(1)
    },
  )

  test('gives up waiting for error actions after the drain, and the record stays', async () => {
    let isAsked = false
    const delivery = await openDelivery({
      haste: 1,
      onGivenUp() {
        isAsked = true
        return new Promise(() => undefined)
      },
    })
    delivery.lab.faults.add({ streamName: 'stream', effect: error('ValidationException') })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1')])
    await until(() => isAsked)
    await delivery.producer.stop({ drainMs: 20 })
    expect(delivery.outbox.size().records).toBe(1)
    expect(delivery.outbox.deadLetters.size().records).toBe(0)
  })

  test('gives up waiting for 500 groups of error actions one after the other', async () => {
    let asked = 0
    const signals = new Set<AbortSignal | undefined>()
    const delivery = await openDelivery({
      haste: 1,
      watch:
        () =>
        ({ records }) =>
          Promise.resolve({
            answered: true,
            records: records.map(() => ({
              ok: false,
              failure: { code: 'InvalidArgumentException', message: 'no', source: 'Kinesis' },
            })),
          }),
      onGivenUp(_, signal) {
        asked += 1
        signals.add(signal)
        return new Promise(() => undefined)
      },
    })
    const to = destination('stream', { batching: { count: 1, bytes: 1_000, periodMs: 0 } })
    const texts = Array.from({ length: 500 }, (_, index) => String(index))
    await delivery.outbox.append(texts.map((text) => newRecordFor(to, text, text)))
    delivery.producer.start()
    await until(() => asked > 0)
    await delivery.producer.stop({ drainMs: 20 })
    expect(delivery.outbox.size().records).toBe(500)
    // The engine is told to ask no further external function.
    expect([...signals].map((signal) => signal?.aborted)).toEqual([true])
  })

  test('gives up waiting for the disk after the drain', async () => {
    let isAsked = false
    const delivery = await openDelivery({
      haste: 1,
      giveUp() {
        isAsked = true
        return new Promise(() => undefined)
      },
    })
    delivery.lab.faults.add({ streamName: 'stream', effect: error('ValidationException') })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1')])
    await until(() => isAsked)
    await delivery.producer.stop({ drainMs: 20 })
    expect(delivery.outbox.size().records).toBe(1)
  })

  test('waits neither for a stream that is being made nor for a list of shards', async () => {
    const delivery = await openDelivery({
      haste: 1,
      streams: ['stream'],
      makeStream: () => new Promise(() => undefined),
    })
    const { lab } = delivery
    const listing = lab.faults.add({
      operation: 'ListShards',
      effect: { kind: 'delay', delayMs: 60_000 },
    })
    lab.faults.add({
      streamName: 'stream',
      effect: error('ProvisionedThroughputExceededException'),
    })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1'), newRecord('missing', 'k', '2')])
    await until(() => listing.appliedCount() > 0 && putsOf(delivery).length > 1)
    await delivery.producer.stop({ drainMs: 20 })
    expect(delivery.outbox.size().records).toBe(2)
  })

  test('gives up the question for the largest record after the drain', async () => {
    const delivery = await openDelivery({ haste: 1, requestTimeoutMs: 60_000 })
    const operation = 'DescribeStreamSummary'
    const fault = delivery.lab.faults.add({
      effect: { kind: 'delay', delayMs: 60_000 },
      operation,
    })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', 'x'.repeat(1_048_576))])
    await until(() => fault.appliedCount() > 0)
    await delivery.producer.stop({ drainMs: 20 })
    expect(delivery.outbox.size().records).toBe(1)
  })
})
