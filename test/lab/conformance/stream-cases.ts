import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeLimitsCommand,
  DescribeStreamCommand,
  KinesisClient,
  ListStreamsCommand,
} from '@aws-sdk/client-kinesis'
import { region } from '../lab-fixtures.ts'
import { nameOfError } from './bench.ts'
import type { Case } from './cases.ts'

export const streamCases: readonly Case[] = [
  {
    name: 'CreateStream shares the hash key space evenly',
    async run({ stream }) {
      const shards = await (await stream(3)).shards()
      return shards.map(({ HashKeyRange }) => HashKeyRange?.StartingHashKey)
    },
    expected: [
      '0',
      '113427455640312821154458202477256070485',
      '226854911280625642308916404954512140970',
    ],
  },
  {
    name: 'CreateStream of a name that is taken',
    async run({ client, common }) {
      const { StreamName } = await common()
      return nameOfError(client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 })))
    },
    expected: 'ResourceInUseException',
  },
  {
    name: 'CreateStream of no shards',
    run: ({ client }) =>
      nameOfError(client.send(new CreateStreamCommand({ StreamName: 'none', ShardCount: 0 }))),
    expected: 'ValidationException',
    differences: { 'kinesis-local': '`LimitExceededException`' },
  },
  {
    name: 'CreateStream of a name with a slash',
    run: ({ client }) =>
      nameOfError(client.send(new CreateStreamCommand({ StreamName: 'a/b', ShardCount: 1 }))),
    expected: 'ValidationException',
    differences: { 'kinesis-local': '`InvalidArgumentException`' },
  },
  {
    name: 'CreateStream with tags',
    async run({ client }) {
      const StreamName = 'tagged'
      const Tags = { team: 'a' }
      return nameOfError(client.send(new CreateStreamCommand({ StreamName, ShardCount: 1, Tags })))
    },
    expected: 'no error',
  },
  {
    name: 'DescribeStream of a missing stream',
    run: ({ client }) =>
      nameOfError(client.send(new DescribeStreamCommand({ StreamName: 'missing' }))),
    expected: 'ResourceNotFoundException',
  },
  {
    name: 'DescribeStream by the ARN of the stream',
    async run({ client, common }) {
      const { StreamARN, StreamName } = await common()
      const found = await client.send(new DescribeStreamCommand({ StreamARN }))
      return found.StreamDescription?.StreamName === StreamName
    },
    expected: true,
    differences: { kinesalite: 'knows no `StreamARN`' },
  },
  {
    name: 'DeleteStream of a missing stream',
    run: ({ client }) =>
      nameOfError(client.send(new DeleteStreamCommand({ StreamName: 'missing' }))),
    expected: 'ResourceNotFoundException',
  },
  {
    name: 'DescribeLimits tells of on-demand streams',
    async run({ client }) {
      return typeof (await client.send(new DescribeLimitsCommand({}))).OnDemandStreamCountLimit
    },
    expected: 'number',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: "The default client of AWS's SDK for JavaScript, which speaks HTTP/2",
    async run({ port }) {
      const client = new KinesisClient({
        endpoint: `http://127.0.0.1:${port}`,
        region,
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
        maxAttempts: 1,
      })
      try {
        const calls = Array.from({ length: 3 }, () => client.send(new ListStreamsCommand({})))
        return await nameOfError(Promise.all(calls))
      } finally {
        client.destroy()
      }
    },
    expected: 'no error',
    differences: { kinesalite: 'HTTP/1.1 alone' },
    notAsked: { 'kinesis-local': 'HTTP/2 answers at times' },
  },
]
