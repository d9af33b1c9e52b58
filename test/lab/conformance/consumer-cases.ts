import {
  DeleteStreamCommand,
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  ListStreamConsumersCommand,
  RegisterStreamConsumerCommand,
  SplitShardCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import type { StartingPosition, SubscribeToShardEvent } from '@aws-sdk/client-kinesis'
import { idOf, nameOfError } from './bench.ts'
import type { Bench } from './bench.ts'
import type { Case } from './cases.ts'

const textsOf = (event: SubscribeToShardEvent | undefined) =>
  event?.Records?.map((record) => Buffer.from(record.Data ?? []).toString()) ?? []

const waitMs = 1_500

/** Gives the next event that `isWanted`, or none when it does not come in time. */
async function subscribe(
  { client }: Bench,
  ConsumerARN: string,
  StartingPosition: StartingPosition = { Type: 'TRIM_HORIZON' },
): Promise<
  (
    isWanted: (event: SubscribeToShardEvent) => boolean,
  ) => Promise<SubscribeToShardEvent | undefined>
> {
  const command = new SubscribeToShardCommand({ ConsumerARN, ShardId: idOf(0), StartingPosition })
  const { EventStream } = await client.send(command)
  const events = EventStream?.[Symbol.asyncIterator]()
  return async (isWanted) => {
    const timeout = new Promise<undefined>((resolve) => setTimeout(resolve, waitMs, undefined))
    for (;;) {
      const step = await Promise.race([events?.next(), timeout])
      if (!step || step.done) return undefined
      const event = step.value.SubscribeToShardEvent
      if (event && isWanted(event)) return event
    }
  }
}

const hasRecords = ({ Records }: SubscribeToShardEvent) => (Records?.length ?? 0) > 0

export const consumerCases: readonly Case[] = [
  {
    name: 'RegisterStreamConsumer gives an ARN below that of the stream',
    async run(bench) {
      const { StreamARN, consumer } = await bench.stream()
      const arn = await consumer('c')
      return arn.startsWith(`${StreamARN}/consumer/c:`)
    },
    expected: true,
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'RegisterStreamConsumer of a name that is taken',
    async run({ client, stream }) {
      const { StreamARN, consumer } = await stream()
      await consumer('c')
      const command = new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' })
      return nameOfError(client.send(command))
    },
    expected: 'ResourceInUseException',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'ListStreamConsumers lists them',
    async run({ client, stream }) {
      const { StreamARN, consumer } = await stream()
      await consumer('c')
      const { Consumers } = await client.send(new ListStreamConsumersCommand({ StreamARN }))
      return Consumers?.map(({ ConsumerName, ConsumerStatus }) => [ConsumerName, ConsumerStatus])
    },
    expected: [['c', 'ACTIVE']],
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'DescribeStreamConsumer of a missing consumer',
    async run({ client, common }) {
      const { StreamARN } = await common()
      const command = new DescribeStreamConsumerCommand({ StreamARN, ConsumerName: 'missing' })
      return nameOfError(client.send(command))
    },
    expected: 'ResourceNotFoundException',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'DeregisterStreamConsumer by its ARN',
    async run({ client, stream }) {
      const ConsumerARN = await (await stream()).consumer('c')
      return nameOfError(client.send(new DeregisterStreamConsumerCommand({ ConsumerARN })))
    },
    expected: 'no error',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'DeleteStream of a stream with consumers',
    async run({ client, stream }) {
      const { StreamName, consumer } = await stream()
      await consumer('c')
      return nameOfError(client.send(new DeleteStreamCommand({ StreamName })))
    },
    expected: 'ResourceInUseException',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'SubscribeToShard sends what is there and what is written',
    async run(bench) {
      const { consumer, put } = await bench.stream()
      const arn = await consumer('c')
      await put('a')
      const next = await subscribe(bench, arn)
      const first = textsOf(await next(hasRecords))
      await put('b')
      return [first, textsOf(await next(hasRecords))]
    },
    expected: [['a'], ['b']],
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'SubscribeToShard begins with an initial-response, without which boto3 gives up',
    async run(bench) {
      const ConsumerARN = await (await bench.stream()).consumer('c')
      const response = await fetch(`http://127.0.0.1:${bench.port}/`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': 'Kinesis_20131202.SubscribeToShard',
          'x-amz-date': '20260101T000000Z',
          authorization:
            'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=a',
        },
        body: JSON.stringify({
          ConsumerARN,
          ShardId: idOf(0),
          StartingPosition: { Type: 'LATEST' },
        }),
      })
      const reader = response.body?.getReader()
      const first = await Promise.race([
        reader?.read(),
        new Promise<undefined>((resolve) => setTimeout(resolve, waitMs, undefined)),
      ])
      await reader?.cancel()
      return Buffer.from(first?.value ?? []).includes('initial-response')
    },
    expected: true,
    differences: { kinesalite: 'no such operation', 'kinesis-local': 'begins with an event' },
  },
  {
    name: 'SubscribeToShard goes on AFTER the ContinuationSequenceNumber of another consumer',
    async run(bench) {
      const { consumer, put } = await bench.stream()
      const [one, other] = [await consumer('one'), await consumer('other')]
      await put('a')
      const event = await (await subscribe(bench, one))(hasRecords)
      await put('b')
      const next = await subscribe(bench, other, {
        Type: 'AFTER_SEQUENCE_NUMBER',
        SequenceNumber: event?.ContinuationSequenceNumber,
      })
      return textsOf(await next(hasRecords))
    },
    expected: ['b'],
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'SubscribeToShard a second time within 5 seconds',
    async run(bench) {
      const arn = await (await bench.stream()).consumer('c')
      await subscribe(bench, arn)
      return nameOfError(subscribe(bench, arn))
    },
    expected: 'ResourceInUseException',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'SubscribeToShard ends with ChildShards when the shard is split',
    async run(bench) {
      const { consumer, StreamName } = await bench.stream()
      const next = await subscribe(bench, await consumer('c'))
      const NewStartingHashKey = String(1n << 127n)
      await bench.client.send(
        new SplitShardCommand({ StreamName, ShardToSplit: idOf(0), NewStartingHashKey }),
      )
      const event = await next(({ ChildShards }) => (ChildShards?.length ?? 0) > 0)
      return event?.ChildShards?.map(({ ShardId }) => ShardId)
    },
    expected: [idOf(1), idOf(2)],
    differences: { kinesalite: 'no such operation', 'kinesis-local': 'goes on without an end' },
  },
  {
    name: 'SubscribeToShard with an ARN that no consumer has',
    async run(bench) {
      const { StreamARN } = await bench.stream()
      return nameOfError(subscribe(bench, `${StreamARN}/consumer/c:1`))
    },
    expected: 'ResourceNotFoundException',
    differences: { kinesalite: 'no such operation' },
  },
]
