import {
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import type {
  KinesisClient,
  StartingPosition,
  SubscribeToShardEvent,
} from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import type { LabServer } from '../../../src/lab/server/lab-server.ts'
import { allLimits } from '../../../src/lab/streams/shard-limits.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'
import { base64, kinesisClient, noDelays, rawCall, startLab } from '../lab-fixtures.ts'
import type { HttpVersion } from '../lab-fixtures.ts'

const StreamName = 's'
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const ShardId = 'shardId-000000000000'

interface Bench {
  readonly lab: LabServer
  readonly clock: ManualClock
  readonly client: KinesisClient
  readonly consumerArn: string
  readonly put: (...texts: string[]) => Promise<string[]>
  readonly subscribe: (start?: StartingPosition) => Promise<Events>
}

/** What a subscription sends, one event at a time; undefined when it has ended. */
interface Events {
  readonly next: () => Promise<SubscribeToShardEvent | undefined>
}

async function createBench(options: object = {}, version: HttpVersion = 'HTTP/2'): Promise<Bench> {
  const clock = createManualClock()
  const lab = await startLab({ clock, limits: allLimits, statusMs: noDelays, ...options })
  lab.ensureStream(StreamName, 1)
  const client = kinesisClient(lab, version)
  const ConsumerName = 'c'
  const made = await client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName }))
  const consumerArn = made.Consumer?.ConsumerARN ?? ''
  return {
    lab,
    clock,
    client,
    consumerArn,
    async put(...texts) {
      const Records = texts.map((text) => ({ PartitionKey: 'k', Data: base64(text) }))
      const { output } = await rawCall(lab, 'PutRecords', { StreamName, Records })
      const placed = output['Records'] as { SequenceNumber: string }[]
      return placed.map((place) => place.SequenceNumber)
    },
    async subscribe(StartingPosition = { Type: 'TRIM_HORIZON' }) {
      const command = new SubscribeToShardCommand({
        ConsumerARN: consumerArn,
        ShardId,
        StartingPosition,
      })
      const { EventStream } = await client.send(command)
      const iterator = EventStream?.[Symbol.asyncIterator]()
      return {
        async next() {
          const step = await iterator?.next()
          return step?.done === false ? step.value.SubscribeToShardEvent : undefined
        },
      }
    },
  }
}

const textsOf = (event: SubscribeToShardEvent | undefined) =>
  event?.Records?.map((record) => Buffer.from(record.Data ?? []).toString())

const splitShard = (lab: LabServer) =>
  rawCall(lab, 'SplitShard', {
    StreamName,
    ShardToSplit: ShardId,
    NewStartingHashKey: String(hashKeySpace / 2n),
  })

describe.each(['HTTP/2', 'HTTP/1.1'] as const)('a subscription over %s', (version) => {
  test('sends what is there, then what is written, each call as one event', async () => {
    const { put, subscribe, clock } = await createBench({}, version)
    const [, b] = await put('a', 'b')
    const events = await subscribe()
    const first = await events.next()
    expect(first).toMatchObject({
      Records: [
        { PartitionKey: 'k' },
        { SequenceNumber: b, ApproximateArrivalTimestamp: new Date(clock.wallMs()) },
      ],
      MillisBehindLatest: 0,
    })
    expect(textsOf(first)).toEqual(['a', 'b'])
    await put('c', 'd')
    expect(textsOf(await events.next())).toEqual(['c', 'd'])
  })

  test('ends after five minutes, with an event every five seconds until then', async () => {
    const { subscribe, clock, put } = await createBench({}, version)
    const events = await subscribe({ Type: 'LATEST' })
    for (let beat = 0; beat < 59; beat++) {
      clock.advance(5_000)
      expect(await events.next()).toMatchObject({ Records: [], MillisBehindLatest: 0 })
    }
    clock.advance(5_000)
    await put('a')
    await events.next()
    expect(await events.next()).toBeUndefined()
  })

  test('ends with the children when the shard is split', async () => {
    const { lab, put, subscribe } = await createBench({}, version)
    await put('a')
    const events = await subscribe()
    expect(textsOf(await events.next())).toEqual(['a'])
    await splitShard(lab)
    const last = await events.next()
    expect(last).toMatchObject({
      Records: [],
      ChildShards: [
        { ShardId: 'shardId-000000000001', ParentShards: [ShardId] },
        { ShardId: 'shardId-000000000002', ParentShards: [ShardId] },
      ],
    })
    expect(last?.ContinuationSequenceNumber).toBeUndefined()
    expect(await events.next()).toBeUndefined()
  })
})

describe('a subscription', () => {
  test.each(['AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER'] as const)(
    'goes on %s of the ContinuationSequenceNumber without a gap or a repetition',
    async (Type) => {
      const { put, subscribe, clock } = await createBench()
      await put('a')
      const first = await (await subscribe()).next()
      await put('b')
      clock.advance(5_000)
      const SequenceNumber = first?.ContinuationSequenceNumber
      const events = await subscribe({ Type, SequenceNumber })
      expect(textsOf(await events.next())).toEqual(['b'])
    },
  )

  test('has a place to go on from before there was any record', async () => {
    const { put, subscribe, clock } = await createBench()
    const idle = await subscribe({ Type: 'LATEST' })
    clock.advance(5_000)
    const SequenceNumber = (await idle.next())?.ContinuationSequenceNumber
    const events = await subscribe({ Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber })
    await put('a')
    expect(textsOf(await events.next())).toEqual(['a'])
  })

  test('starts at a time, and after a number', async () => {
    const { put, subscribe, clock } = await createBench()
    const [a = ''] = await put('a')
    clock.advance(60_000)
    await put('b')
    const timed = await subscribe({ Type: 'AT_TIMESTAMP', Timestamp: new Date(clock.wallMs()) })
    expect(textsOf(await timed.next())).toEqual(['b'])
    clock.advance(5_000)
    const numbered = await subscribe({ Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: a })
    expect(textsOf(await numbered.next())).toEqual(['b'])
  })

  test('of a closed shard that is read out has nothing but the children', async () => {
    const { lab, subscribe } = await createBench()
    await splitShard(lab)
    const events = await subscribe({ Type: 'LATEST' })
    expect((await events.next())?.ChildShards).toHaveLength(2)
  })

  test('is refused within five seconds of another, and takes over after them', async () => {
    const { subscribe, clock } = await createBench()
    const first = await subscribe({ Type: 'LATEST' })
    clock.advance(4_999)
    await expect(subscribe()).rejects.toMatchObject({ name: 'ResourceInUseException' })
    clock.advance(1)
    await first.next()
    await subscribe()
    await expect(first.next()).rejects.toMatchObject({
      name: 'ResourceInUseException',
      message: expect.stringContaining('has taken over') as string,
    })
  })

  test('takes over at once where the limit is lifted', async () => {
    const { subscribe, put } = await createBench({ limits: { ...allLimits, fanOut: false } })
    await subscribe()
    const events = await subscribe()
    await put('a')
    expect(textsOf(await events.next())).toEqual(['a'])
  })

  test('is sent 2 MiB a second', async () => {
    const { subscribe, clock, put } = await createBench({ limits: { ...allLimits, writes: false } })
    const text = 'x'.repeat(1024 * 1024 - 1)
    for (const letter of ['a', 'b', 'c', 'd']) await put(letter + text.slice(1))
    const events = await subscribe()
    const startMs = clock.wallMs()
    expect((await events.next())?.Records).toHaveLength(1)
    expect((await events.next())?.Records).toHaveLength(1)
    const third = events.next()
    clock.advance(1)
    expect((await third)?.Records).toHaveLength(1)
    const fourth = events.next()
    clock.advance(500)
    expect((await fourth)?.Records).toHaveLength(1)
    expect(clock.wallMs() - startMs).toBe(501)
  })

  test.each([
    ['deregistered', 'DeregisterStreamConsumer', {}],
    ['deleted with its stream', 'DeleteStream', { EnforceConsumerDeletion: true }],
  ])('ends with the reason when its consumer is %s', async (_what, operation, more) => {
    const { lab, consumerArn, subscribe } = await createBench()
    const events = await subscribe()
    const naming = operation === 'DeleteStream' ? { StreamName } : { ConsumerARN: consumerArn }
    expect((await rawCall(lab, operation, { ...naming, ...more })).status).toBe(200)
    await expect(events.next()).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })

  test.each([
    ['a sequence number of another shard', { Type: 'AT_SEQUENCE_NUMBER', SequenceNumber: '1' }],
    ['a place without its number', { Type: 'AFTER_SEQUENCE_NUMBER' }],
    ['a number that the place does not take', { Type: 'LATEST', SequenceNumber: '1' }],
    ['a time without its time', { Type: 'AT_TIMESTAMP' }],
  ] as const)('is refused for %s', async (_what, position) => {
    const { subscribe } = await createBench()
    await expect(subscribe(position)).rejects.toMatchObject({ name: 'InvalidArgumentException' })
  })

  test('sends a slow reader everything once', async () => {
    const { lab, put, client, consumerArn } = await createBench({ limits: undefined })
    const { EventStream } = await client.send(
      new SubscribeToShardCommand({
        ConsumerARN: consumerArn,
        ShardId,
        StartingPosition: { Type: 'TRIM_HORIZON' },
      }),
    )
    const texts = Array.from({ length: 40 }, (_, index) => String(index).padEnd(900_000, 'x'))
    for (const text of texts) await put(text)
    const seen: string[] = []
    for await (const { SubscribeToShardEvent: event } of EventStream ?? []) {
      seen.push(...(textsOf(event) ?? []))
      if (seen.length >= texts.length) break
    }
    expect(seen.map((text) => Number.parseInt(text, 10))).toEqual(texts.map((_, index) => index))
    expect(lab.calls.list().at(-1)?.operation).toBe('PutRecords')
  })
})

describe('a consumer', () => {
  const register = (lab: LabServer, ConsumerName: string, more = {}) =>
    rawCall(lab, 'RegisterStreamConsumer', { StreamARN, ConsumerName, ...more })

  test('is CREATING, ACTIVE and DELETING, and has another ARN the next time', async () => {
    const statusMs = { ...noDelays, consumerMs: 100 }
    const { lab, clock, client, consumerArn } = await createBench({ statusMs })
    const describeIt = async () =>
      (await client.send(new DescribeStreamConsumerCommand({ ConsumerARN: consumerArn })))
        .ConsumerDescription
    expect(await describeIt()).toEqual({
      ConsumerName: 'c',
      ConsumerARN: expect.stringMatching(/:stream\/s\/consumer\/c:\d+$/) as string,
      ConsumerStatus: 'CREATING',
      ConsumerCreationTimestamp: new Date(clock.wallMs()),
      StreamARN,
    })
    const start = { ShardId, StartingPosition: { Type: 'LATEST' } }
    const early = await rawCall(lab, 'SubscribeToShard', { ConsumerARN: consumerArn, ...start })
    expect(early.type).toBe('ResourceInUseException')
    clock.advance(100)
    expect((await describeIt())?.ConsumerStatus).toBe('ACTIVE')
    await client.send(new DeregisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }))
    expect((await describeIt())?.ConsumerStatus).toBe('DELETING')
    clock.advance(100)
    await expect(describeIt()).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    const { output } = await register(lab, 'c')
    expect(output['Consumer']).not.toMatchObject({ ConsumerARN: consumerArn })
    const late = await rawCall(lab, 'SubscribeToShard', { ConsumerARN: consumerArn, ...start })
    expect(late.type).toBe('ResourceNotFoundException')
  })

  test('is one of 20 of a stream, and its name is its own', async () => {
    const { lab } = await createBench()
    for (let index = 1; index < 20; index++) {
      expect((await register(lab, `c${index}`)).status).toBe(200)
    }
    expect((await register(lab, 'c')).type).toBe('ResourceInUseException')
    expect((await register(lab, 'more')).type).toBe('LimitExceededException')
    const summary = await rawCall(lab, 'DescribeStreamSummary', { StreamName })
    expect(summary.output).toMatchObject({ StreamDescriptionSummary: { ConsumerCount: 20 } })
    expect((await rawCall(lab, 'DeleteStream', { StreamName })).type).toBe('ResourceInUseException')
  })

  test('is one of 5 that are CREATING', async () => {
    const statusMs = { ...noDelays, consumerMs: 100 }
    const { lab } = await createBench({ statusMs })
    for (const name of ['d', 'e', 'f', 'g']) await register(lab, name)
    expect((await register(lab, 'h')).type).toBe('LimitExceededException')
  })

  test('is listed in pages', async () => {
    const { lab } = await createBench()
    for (const name of ['b', 'a']) await register(lab, name)
    const list = async (more: object) => {
      const { output } = await rawCall(lab, 'ListStreamConsumers', { StreamARN, ...more })
      const consumers = output['Consumers'] as { ConsumerName: string }[]
      return { names: consumers.map((it) => it.ConsumerName), next: output['NextToken'] }
    }
    const first = await list({ MaxResults: 2 })
    expect(first.names).toEqual(['a', 'b'])
    expect(await list({ NextToken: first.next })).toEqual({ names: ['c'], next: undefined })
    lab.ensureStream('t', 1)
    const other = { StreamARN: StreamARN.replace(/s$/, 't'), NextToken: first.next }
    expect((await rawCall(lab, 'ListStreamConsumers', other)).type).toBe('InvalidArgumentException')
  })

  test.each([
    ['its ARN and another name', { ConsumerName: 'x' }, 'InvalidArgumentException'],
    [
      'its ARN and another stream',
      { StreamARN: StreamARN.replace(/s$/, 't') },
      'InvalidArgumentException',
    ],
    ['its name alone', { ConsumerARN: undefined, ConsumerName: 'c' }, 'InvalidArgumentException'],
    [
      'a name that nobody has',
      { ConsumerARN: undefined, StreamARN, ConsumerName: 'x' },
      'ResourceNotFoundException',
    ],
    [
      'an ARN of another stream',
      { ConsumerARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/t/consumer/c:1' },
      'ResourceNotFoundException',
    ],
    ['no ARN at all', { ConsumerARN: 'x' }, 'ValidationException'],
  ])('is not found by %s', async (_what, naming, code) => {
    const { lab, consumerArn } = await createBench()
    const input = { ConsumerARN: consumerArn, ...naming }
    expect((await rawCall(lab, 'DescribeStreamConsumer', input)).type).toBe(code)
  })
})
