import {
  GetRecordsCommand,
  ListShardsCommand,
  MergeShardsCommand,
  SplitShardCommand,
  UpdateShardCountCommand,
} from '@aws-sdk/client-kinesis'
import type { Shard } from '@aws-sdk/client-kinesis'
import { idOf, nameOfError } from './bench.ts'
import type { Bench, TestStream } from './bench.ts'
import type { Case } from './cases.ts'

const middle = String(1n << 127n)
const last = String((1n << 128n) - 1n)

async function split(bench: Bench, at = middle): Promise<TestStream> {
  const stream = await bench.stream()
  const { StreamName } = stream
  await bench.client.send(
    new SplitShardCommand({ StreamName, ShardToSplit: idOf(0), NewStartingHashKey: at }),
  )
  await stream.active()
  return stream
}

const merge = ({ client }: Bench, { StreamName }: TestStream, first: number, second: number) =>
  client.send(
    new MergeShardsCommand({
      StreamName,
      ShardToMerge: idOf(first),
      AdjacentShardToMerge: idOf(second),
    }),
  )

const scale = ({ client }: Bench, { StreamName }: TestStream, TargetShardCount: number) =>
  client.send(
    new UpdateShardCountCommand({ StreamName, TargetShardCount, ScalingType: 'UNIFORM_SCALING' }),
  )

const isOpen = ({ SequenceNumberRange: range }: Shard) => range?.EndingSequenceNumber === undefined

export const reshardCases: readonly Case[] = [
  {
    name: 'SplitShard closes the parent and opens two children',
    async run(bench) {
      const shards = await (await split(bench)).shards()
      return shards.map((shard) => [isOpen(shard), shard.ParentShardId ?? null])
    },
    expected: [
      [false, null],
      [true, idOf(0)],
      [true, idOf(0)],
    ],
  },
  {
    name: 'SplitShard while the stream is UPDATING',
    async run({ client, stream }) {
      const { StreamName } = await stream()
      const input = { StreamName, ShardToSplit: idOf(0), NewStartingHashKey: middle }
      // At once, so that no slow machine gets through to the end of the first in between.
      const splits = [1, 2].map(() => nameOfError(client.send(new SplitShardCommand(input))))
      return (await Promise.all(splits)).toSorted()
    },
    expected: ['ResourceInUseException', 'no error'],
  },
  {
    name: 'SplitShard of a shard that is closed',
    async run(bench) {
      const { StreamName } = await split(bench)
      const input = { StreamName, ShardToSplit: idOf(0), NewStartingHashKey: '9' }
      return nameOfError(bench.client.send(new SplitShardCommand(input)))
    },
    expected: 'InvalidArgumentException',
    differences: { kinesalite: 'splits it again', 'kinesis-local': '`ResourceInUseException`' },
  },
  {
    name: 'SplitShard at the last hash key of the shard, which is in its range',
    run: (bench) => nameOfError(split(bench, last)),
    expected: 'no error',
    differences: { kinesalite: '`InvalidArgumentException`' },
  },
  {
    name: 'SplitShard at the first hash key of the shard',
    run: (bench) => nameOfError(split(bench, '0')),
    expected: 'InvalidArgumentException',
    differences: { 'kinesis-local': 'makes a shard of an empty range' },
  },
  {
    name: 'MergeShards of neighbours',
    async run(bench) {
      const stream = await bench.stream(2)
      await merge(bench, stream, 0, 1)
      await stream.active()
      const child = (await stream.shards()).at(-1)
      return [child?.ParentShardId, child?.AdjacentParentShardId]
    },
    expected: [idOf(0), idOf(1)],
  },
  {
    name: 'MergeShards of neighbours, the higher range first',
    run: async (bench) => nameOfError(merge(bench, await bench.stream(2), 1, 0)),
    expected: 'no error',
    differences: {
      kinesalite: '`InvalidArgumentException`',
      'kinesis-local': '`InvalidArgumentException`',
    },
  },
  {
    name: 'MergeShards of shards that are no neighbours',
    run: async (bench) => nameOfError(merge(bench, await bench.stream(3), 0, 2)),
    expected: 'InvalidArgumentException',
  },
  {
    name: 'GetRecords at the end of a closed shard has ChildShards and no iterator',
    async run(bench) {
      const { iterator } = await split(bench)
      const command = new GetRecordsCommand({ ShardIterator: await iterator() })
      const { NextShardIterator = null, ChildShards } = await bench.client.send(command)
      return [NextShardIterator, ChildShards?.map(({ ShardId }) => ShardId)]
    },
    expected: [null, [idOf(1), idOf(2)]],
    differences: { kinesalite: 'no `ChildShards`, and an iterator for a second more' },
  },
  {
    name: 'Records written before a split stay in the parent, those after it go to the children',
    async run(bench) {
      const stream = await bench.stream()
      const before = await stream.put('a', '0')
      const { StreamName } = stream
      const input = { StreamName, ShardToSplit: idOf(0), NewStartingHashKey: middle }
      await bench.client.send(new SplitShardCommand(input))
      await stream.active()
      const after = await stream.put('b', '0')
      const ShardIterator = await stream.iterator()
      const { Records } = await bench.client.send(new GetRecordsCommand({ ShardIterator }))
      return [Records?.map(({ SequenceNumber }) => SequenceNumber === before), after > before]
    },
    expected: [[true], true],
  },
  {
    name: 'ListShards with the filter AT_LATEST',
    async run(bench) {
      const { StreamName } = await split(bench)
      const command = new ListShardsCommand({ StreamName, ShardFilter: { Type: 'AT_LATEST' } })
      return (await bench.client.send(command)).Shards?.map(({ ShardId }) => ShardId)
    },
    expected: [idOf(1), idOf(2)],
    differences: { kinesalite: 'lists all' },
  },
  {
    name: 'ListShards with the filter AT_TRIM_HORIZON',
    async run(bench) {
      const { StreamName } = await split(bench)
      const command = new ListShardsCommand({
        StreamName,
        ShardFilter: { Type: 'AT_TRIM_HORIZON' },
      })
      return (await bench.client.send(command)).Shards?.map(({ ShardId }) => ShardId)
    },
    expected: [idOf(0)],
    differences: { kinesalite: 'lists all', 'kinesis-local': 'lists all' },
  },
  {
    name: 'UpdateShardCount from 2 to 3 makes ranges of equal width',
    async run(bench) {
      const stream = await bench.stream(2)
      await scale(bench, stream, 3)
      await stream.active()
      const starts = (await stream.shards())
        .filter(isOpen)
        .map(({ HashKeyRange }) => HashKeyRange?.StartingHashKey ?? '')
      return starts.toSorted((left, right) => (BigInt(left) < BigInt(right) ? -1 : 1))
    },
    expected: [
      '0',
      '113427455640312821154458202477256070485',
      '226854911280625642308916404954512140970',
    ],
    differences: { kinesalite: 'no such operation', 'kinesis-local': 'splits one of them in half' },
  },
  {
    name: 'UpdateShardCount to more than double',
    run: async (bench) => nameOfError(scale(bench, await bench.stream(2), 5)),
    expected: 'LimitExceededException',
    differences: { kinesalite: 'no such operation', 'kinesis-local': '`InvalidArgumentException`' },
  },
]
