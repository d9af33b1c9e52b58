import {
  DescribeStreamConsumerCommand,
  ListStreamConsumersCommand,
  RegisterStreamConsumerCommand,
} from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { createMemoryCheckpoints } from '../../src/consumers/checkpoints.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { kinesisClient, noDelays, startLab } from '../lab/lab-fixtures.ts'
import { answered, numbered, putTexts, startConsumer } from './consumer-parts.ts'

const byNumber = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b))
const streamArn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'

async function labWith(shardCount: number, texts: readonly string[]) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts)
  return { lab, kinesis }
}

describe('an enhanced fan-out consumer', () => {
  test('registers, gets what is there and what is written then, and stays registered', async () => {
    const { lab, kinesis } = await labWith(2, numbered(50))
    const got = await startConsumer(lab, { stream: 's', fanOut: { consumerName: 'c' } })
    await got.handled(50)
    await putTexts(kinesis, 's', numbered(50, 50))
    await got.handled(100)
    expect(byNumber(got.texts())).toEqual(numbered(100))
    await got.consumer.stop()
    const { ConsumerDescription } = await kinesis.send(
      new DescribeStreamConsumerCommand({ StreamARN: streamArn, ConsumerName: 'c' }),
    )
    expect(ConsumerDescription).toMatchObject({ ConsumerStatus: 'ACTIVE' })
  })

  test('goes away with what it registered when it is asked to', async () => {
    const { lab, kinesis } = await labWith(1, ['1'])
    const got = await startConsumer(lab, { stream: 's', fanOut: true, deregisterOnStop: true })
    await got.handled(1)
    await got.consumer.stop()
    const { Consumers } = await kinesis.send(
      new ListStreamConsumersCommand({ StreamARN: streamArn }),
    )
    expect(Consumers?.filter(({ ConsumerStatus }) => ConsumerStatus !== 'DELETING')).toEqual([])
  })

  test('subscribes as a consumer of which it is given the ARN', async () => {
    const { lab, kinesis } = await labWith(1, numbered(3))
    const { Consumer } = await kinesis.send(
      new RegisterStreamConsumerCommand({ StreamARN: streamArn, ConsumerName: 'c' }),
    )
    const consumerArn = Consumer?.ConsumerARN ?? ''
    const got = await startConsumer(lab, { stream: 's', fanOut: { consumerArn } })
    await got.handled(3)
    expect(got.texts()).toEqual(numbered(3))
  })

  test('goes on after its checkpoint', async () => {
    const { lab, kinesis } = await labWith(1, numbered(5))
    const checkpoints = createMemoryCheckpoints()
    const first = await startConsumer(lab, { stream: 's', fanOut: true, checkpoints })
    await first.handled(5)
    await first.consumer.stop()
    await putTexts(kinesis, 's', ['5', '6'])
    const second = await startConsumer(lab, { stream: 's', fanOut: true, checkpoints })
    await second.handled(2)
    expect(second.texts()).toEqual(['5', '6'])
  })

  test('begins at LATEST', async () => {
    const { lab, kinesis } = await labWith(1, ['old'])
    const got = await startConsumer(lab, { stream: 's', fanOut: true, from: 'LATEST' })
    await answered(lab, 'SubscribeToShard')
    await putTexts(kinesis, 's', ['1'])
    await got.handled(1)
    expect(got.texts()).toEqual(['1'])
  })

  test.each([
    ['an error', { kind: 'error', code: 'InternalFailure', status: 500 }],
    ['a subscription in use', { kind: 'error', code: 'ResourceInUseException', status: 400 }],
    ['a cut connection', { kind: 'dropCall' }],
  ] as const)('subscribes again after %s', async (_, effect) => {
    const { lab } = await labWith(1, numbered(3))
    lab.faults.add({ operation: 'SubscribeToShard', times: 2, effect })
    const got = await startConsumer(lab, { stream: 's', fanOut: true })
    await got.handled(3)
    expect(got.texts()).toEqual(numbered(3))
  })

  test('subscribes again where it was when a subscription expires', async () => {
    const clock = createManualClock()
    const lab = await startLab({ clock, statusMs: noDelays })
    lab.ensureStream('s', 1)
    const kinesis = kinesisClient(lab)
    await putTexts(kinesis, 's', ['0', '1'])
    const got = await startConsumer(lab, { stream: 's', fanOut: true })
    await got.handled(2)
    clock.advance(310_000)
    await putTexts(kinesis, 's', ['2', '3'])
    await got.handled(4)
    expect(got.texts()).toEqual(numbered(4))
  })

  test('stops at once while nothing comes', async () => {
    const lab = await startLab({ statusMs: noDelays })
    lab.ensureStream('s', 2)
    // Its time stands still from here on: there is nothing that it could wait out.
    const clock = createManualClock()
    const got = await startConsumer(lab, { stream: 's', fanOut: true, clock })
    await answered(lab, 'SubscribeToShard', 2)
    await got.consumer.stop()
    expect(got.texts()).toEqual([])
  })
})
