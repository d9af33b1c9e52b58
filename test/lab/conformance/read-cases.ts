import {
  DeleteStreamCommand,
  DescribeStreamCommand,
  GetRecordsCommand,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import type { GetRecordsCommandOutput, GetShardIteratorCommandInput } from '@aws-sdk/client-kinesis'
import { idOf, nameOfError } from './bench.ts'
import type { Bench } from './bench.ts'
import type { Case } from './cases.ts'

const textsOf = ({ Records = [] }: GetRecordsCommandOutput) =>
  Records.map((record) => Buffer.from(record.Data ?? []).toString())

/** The texts that an iterator gives in a stream of a, b and c. */
async function readAbc(
  { client, stream }: Bench,
  inputOf: (numbers: readonly string[], betweenMs: number) => Partial<GetShardIteratorCommandInput>,
): Promise<readonly string[]> {
  const { put, iterator } = await stream()
  const first = await put('a')
  await new Promise((resolve) => setTimeout(resolve, 5))
  const betweenMs = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 5))
  const numbers = [first, await put('b'), await put('c')]
  const ShardIterator = await iterator(inputOf(numbers, betweenMs))
  return textsOf(await client.send(new GetRecordsCommand({ ShardIterator })))
}

export const readCases: readonly Case[] = [
  {
    name: 'TRIM_HORIZON reads all',
    run: (bench) => readAbc(bench, () => ({ ShardIteratorType: 'TRIM_HORIZON' })),
    expected: ['a', 'b', 'c'],
  },
  {
    name: 'LATEST reads what comes',
    run: (bench) => readAbc(bench, () => ({ ShardIteratorType: 'LATEST' })),
    expected: [],
  },
  {
    name: 'AT_SEQUENCE_NUMBER reads from the record on',
    run: (bench) =>
      readAbc(bench, ([, StartingSequenceNumber]) => ({
        ShardIteratorType: 'AT_SEQUENCE_NUMBER',
        StartingSequenceNumber,
      })),
    expected: ['b', 'c'],
  },
  {
    name: 'AFTER_SEQUENCE_NUMBER reads what follows the record',
    run: (bench) =>
      readAbc(bench, ([, StartingSequenceNumber]) => ({
        ShardIteratorType: 'AFTER_SEQUENCE_NUMBER',
        StartingSequenceNumber,
      })),
    expected: ['c'],
  },
  {
    name: 'AT_TIMESTAMP reads from the time on',
    run: (bench) =>
      readAbc(bench, (_, betweenMs) => ({
        ShardIteratorType: 'AT_TIMESTAMP',
        Timestamp: new Date(betweenMs),
      })),
    expected: ['b', 'c'],
  },
  {
    name: 'AT_SEQUENCE_NUMBER of the start of the shard reads all',
    async run({ client, stream }) {
      const { put, iterator, shards } = await stream()
      await put('a')
      const [shard] = await shards()
      const ShardIterator = await iterator({
        ShardIteratorType: 'AT_SEQUENCE_NUMBER',
        StartingSequenceNumber: shard?.SequenceNumberRange?.StartingSequenceNumber,
      })
      return textsOf(await client.send(new GetRecordsCommand({ ShardIterator })))
    },
    expected: ['a'],
  },
  {
    name: 'GetShardIterator AT_SEQUENCE_NUMBER without the number',
    async run({ common }) {
      const { iterator } = await common()
      return nameOfError(iterator({ ShardIteratorType: 'AT_SEQUENCE_NUMBER' }))
    },
    expected: 'InvalidArgumentException',
  },
  {
    name: 'GetShardIterator of a missing shard',
    async run({ common }) {
      const { iterator } = await common()
      return nameOfError(iterator({ ShardId: idOf(7) }))
    },
    expected: 'ResourceNotFoundException',
  },
  {
    name: 'GetShardIterator with the sequence number of another stream',
    async run({ stream }) {
      const [one, other] = [await stream(), await stream()]
      const StartingSequenceNumber = await other.put('a')
      const type = 'AFTER_SEQUENCE_NUMBER'
      return nameOfError(one.iterator({ ShardIteratorType: type, StartingSequenceNumber }))
    },
    expected: 'InvalidArgumentException',
    differences: { 'kinesis-local': 'gives an iterator' },
  },
  {
    name: 'GetRecords with an iterator of nobody',
    run: ({ client }) =>
      nameOfError(client.send(new GetRecordsCommand({ ShardIterator: 'x'.repeat(100) }))),
    expected: 'InvalidArgumentException',
    differences: { 'kinesis-local': 'an error without a name' },
  },
  {
    name: 'GetRecords with the ARN of another stream than the iterator',
    async run({ client, stream }) {
      const [one, other] = [await stream(), await stream()]
      const input = { ShardIterator: await one.iterator(), StreamARN: other.StreamARN }
      return nameOfError(client.send(new GetRecordsCommand(input)))
    },
    expected: 'InvalidArgumentException',
    differences: { kinesalite: 'reads on', 'kinesis-local': 'reads on' },
  },
  {
    name: 'GetRecords with a limit of 10,001',
    async run({ client, common }) {
      const ShardIterator = await (await common()).iterator()
      return nameOfError(client.send(new GetRecordsCommand({ ShardIterator, Limit: 10_001 })))
    },
    expected: 'ValidationException',
    differences: { 'kinesis-local': '`InvalidArgumentException`' },
  },
  {
    name: 'GetRecords gives as many as the limit, then the rest, and how far behind it is',
    async run({ client, stream }) {
      const { put, iterator } = await stream()
      for (const text of ['a', 'b', 'c']) await put(text)
      await new Promise((resolve) => setTimeout(resolve, 5))
      const ShardIterator = await iterator()
      const first = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 2 }))
      const next = { ShardIterator: first.NextShardIterator }
      const last = await client.send(new GetRecordsCommand(next))
      const isBehind = Number(first.MillisBehindLatest) > 0
      return [textsOf(first), isBehind, textsOf(last), last.MillisBehindLatest]
    },
    expected: [['a', 'b'], true, ['c'], 0],
    differences: { kinesalite: '`MillisBehindLatest` is 0 always' },
  },
  {
    name: 'GetRecords more often than 5 times a second',
    async run({ client, stream }) {
      const ShardIterator = await (await stream()).iterator()
      const reads = Array.from({ length: 20 }, () =>
        nameOfError(client.send(new GetRecordsCommand({ ShardIterator }))),
      )
      return (await Promise.all(reads)).includes('ProvisionedThroughputExceededException')
    },
    expected: true,
    differences: { kinesalite: 'reads on', 'kinesis-local': 'reads on' },
  },
  {
    name: 'GetRecords with an iterator of a stream that was deleted',
    async run({ client, stream }) {
      const { iterator, StreamName } = await stream()
      const ShardIterator = await iterator()
      await client.send(new DeleteStreamCommand({ StreamName }))
      while (
        (await nameOfError(client.send(new DescribeStreamCommand({ StreamName })))) === 'no error'
      );
      return nameOfError(client.send(new GetRecordsCommand({ ShardIterator })))
    },
    expected: 'ResourceNotFoundException',
  },
  {
    name: 'ListShards goes on with NextToken',
    async run({ client, stream }) {
      const { StreamName } = await stream(3)
      const first = await client.send(new ListShardsCommand({ StreamName, MaxResults: 2 }))
      const rest = await client.send(new ListShardsCommand({ NextToken: first.NextToken }))
      return [first, rest].map(({ Shards }) => Shards?.map(({ ShardId }) => ShardId))
    },
    expected: [[idOf(0), idOf(1)], [idOf(2)]],
    differences: { kinesalite: '`InvalidArgumentException`: there is one page' },
  },
  {
    name: 'ListShards with a NextToken and a stream name',
    async run({ client, stream }) {
      const { StreamName } = await stream(2)
      const { NextToken } = await client.send(new ListShardsCommand({ StreamName, MaxResults: 1 }))
      return nameOfError(client.send(new ListShardsCommand({ StreamName, NextToken })))
    },
    expected: 'InvalidArgumentException',
    differences: { kinesalite: 'takes both' },
  },
]
