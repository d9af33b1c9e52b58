import { describe, expect, test } from 'vitest'
import { base64, rawCall, startLab } from '../lab-fixtures.ts'

const data = base64('x')
const put = (members: object) => ({ StreamName: 's', PartitionKey: 'k', Data: data, ...members })
const batch = (...records: object[]) => ({ StreamName: 's', Records: records })
const entry = (members: object = {}) => ({ PartitionKey: 'k', Data: data, ...members })
const iterator = (members: object) => ({
  StreamName: 's',
  ShardId: 'shardId-000000000000',
  ...members,
})
const arn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const hashKeyPastEnd = String(1n << 128n)

const validation = 'ValidationException'
const argument = 'InvalidArgumentException'
const missing = 'ResourceNotFoundException'
const serialization = 'SerializationException'

describe('a bad request is refused, and nothing is stored', () => {
  test.each<[what: string, operation: string, input: unknown, code: string, message: RegExp]>([
    ['a body that is no JSON', 'PutRecord', '{"a":', serialization, /not valid JSON/],
    ['a body that is no object', 'PutRecord', '[]', serialization, /not a JSON object/],
    ['a number for text', 'PutRecord', put({ PartitionKey: 1 }), serialization, /^NUMBER_VALUE/],
    ['text for a number', 'ListStreams', { Limit: '1' }, serialization, /^STRING_VALUE/],
    ['an object for a list', 'PutRecords', { StreamName: 's', Records: {} }, serialization, /List/],
    ['data that is no base64', 'PutRecord', put({ Data: 'a*==' }), serialization, /base64/],
    [
      'members that are missing',
      'PutRecord',
      { StreamName: 's' },
      validation,
      /^1 validation error detected: Value null at 'data' failed to satisfy constraint: Member must not be null/,
    ],
    [
      'a missing partition key',
      'PutRecord',
      { StreamName: 's', Data: '' },
      validation,
      /^1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null/,
    ],
    [
      'a missing partition key of one record',
      'PutRecords',
      { StreamName: 's', Records: [{ Data: '', PartitionKey: 'k' }, { Data: '' }] },
      validation,
      /null at 'records\.2\.member\.partitionKey'/,
    ],
    ['an id of a stream', 'PutRecord', put({ StreamId: 'x' }), validation, /'x' at 'streamId'/],
    [
      'anything in place of such an id',
      'PutRecord',
      put({ StreamId: { toString: 1 } }),
      validation,
      /'MAP_VALUE' at 'streamId'/,
    ],
    ['null, the same as missing', 'PutRecord', put({ Data: null }), validation, /null at 'data'/],
    [
      'an empty key',
      'PutRecord',
      put({ PartitionKey: '' }),
      validation,
      /greater than or equal to 1$/,
    ],
    [
      'a key of 257 characters',
      'PutRecord',
      put({ PartitionKey: 'é'.repeat(257) }),
      validation,
      /'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256/,
    ],
    [
      'a stream name with a slash',
      'PutRecord',
      put({ StreamName: 'a/b' }),
      validation,
      /pattern: \[a-zA-Z0-9_\.-\]\+$/,
    ],
    [
      'a stream name of 129 characters',
      'DescribeStream',
      { StreamName: 'a'.repeat(129) },
      validation,
      /equal to 128/,
    ],
    ['no stream', 'DescribeStream', {}, argument, /StreamName or StreamARN/],
    [
      'two streams',
      'DescribeStream',
      { StreamName: 'b', StreamARN: arn },
      argument,
      /not name the same/,
    ],
    ['an ARN that is none', 'DescribeStream', { StreamARN: 'arn:x' }, validation, /'streamARN'/],
    [
      'a stream that is not there',
      'PutRecord',
      put({ StreamName: 'b' }),
      missing,
      /^Stream b under account 000000000000 not found\.$/,
    ],
    [
      'a stream of another region',
      'DescribeStream',
      { StreamARN: arn.replace('us-east-1', 'eu-west-1') },
      missing,
      /not found/,
    ],
    [
      'a hash key that is no number',
      'PutRecord',
      put({ ExplicitHashKey: '01' }),
      validation,
      /explicitHashKey/,
    ],
    [
      'a hash key past the end',
      'PutRecord',
      put({ ExplicitHashKey: hashKeyPastEnd }),
      argument,
      /2\^128-1/,
    ],
    [
      'a record over 1 MiB with its key',
      'PutRecord',
      put({ Data: Buffer.alloc(1024 * 1024).toString('base64') }),
      argument,
      /1024 KiB/,
    ],
    [
      'an order after no sequence number',
      'PutRecord',
      put({ SequenceNumberForOrdering: 'x' }),
      validation,
      /sequenceNumberForOrdering/,
    ],
    [
      'an order after a number never given out',
      'PutRecord',
      put({ SequenceNumberForOrdering: '123' }),
      argument,
      /not assigned/,
    ],
    [
      'no records',
      'PutRecords',
      batch(),
      validation,
      /'records' failed .* greater than or equal to 1/,
    ],
    [
      '501 records',
      'PutRecords',
      batch(...Array.from({ length: 501 }, () => entry())),
      validation,
      /less than or equal to 500/,
    ],
    [
      'a bad record among good ones',
      'PutRecords',
      batch(entry(), entry({ PartitionKey: '' })),
      validation,
      /at 'records\.2\.member\.partitionKey'/,
    ],
    [
      'a record over the limit among good ones',
      'PutRecords',
      batch(entry(), entry({ Data: Buffer.alloc(1024 * 1024).toString('base64') })),
      argument,
      /1024 KiB/,
    ],
    [
      'a hash key past the end in a batch',
      'PutRecords',
      batch(entry(), entry({ ExplicitHashKey: hashKeyPastEnd })),
      argument,
      /2\^128-1/,
    ],
    [
      'over 10 MiB in one call',
      'PutRecords',
      batch(
        ...Array.from({ length: 11 }, () =>
          entry({ Data: Buffer.alloc(1_000_000).toString('base64') }),
        ),
      ),
      argument,
      /10485760 bytes/,
    ],
    [
      'an unknown iterator type',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'NEWEST' }),
      validation,
      /enum value set: \[AT_SEQUENCE_NUMBER, /,
    ],
    [
      'an iterator of no shard',
      'GetShardIterator',
      iterator({ ShardId: 'shardId-000000000009', ShardIteratorType: 'LATEST' }),
      missing,
      /Could not find shard/,
    ],
    [
      'a shard id that is none',
      'GetShardIterator',
      iterator({ ShardId: 'zero', ShardIteratorType: 'LATEST' }),
      missing,
      /Could not find shard zero/,
    ],
    [
      'AT_SEQUENCE_NUMBER without one',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'AT_SEQUENCE_NUMBER' }),
      argument,
      /without one/,
    ],
    [
      'LATEST with a sequence number',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'LATEST', StartingSequenceNumber: '1' }),
      argument,
      /with one/,
    ],
    [
      'a sequence number of elsewhere',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: '1' }),
      argument,
      /does not belong to shard/,
    ],
    [
      'AT_TIMESTAMP without one',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'AT_TIMESTAMP' }),
      argument,
      /Timestamp/,
    ],
    [
      'AT_TIMESTAMP in the future',
      'GetShardIterator',
      iterator({ ShardIteratorType: 'AT_TIMESTAMP', Timestamp: 9e9 }),
      argument,
      /later than now/,
    ],
    [
      'an iterator that was made up',
      'GetRecords',
      { ShardIterator: 'AAAA' },
      argument,
      /Invalid ShardIterator/,
    ],
    [
      'a limit of 0',
      'GetRecords',
      { ShardIterator: 'AAAA', Limit: 0 },
      validation,
      /greater than or equal to 1/,
    ],
    [
      'a limit of 10001',
      'GetRecords',
      { ShardIterator: 'AAAA', Limit: 10_001 },
      validation,
      /equal to 10000/,
    ],
    [
      'a stream that is there',
      'CreateStream',
      { StreamName: 's', ShardCount: 1 },
      'ResourceInUseException',
      /already exists/,
    ],
    [
      'a provisioned stream without shards',
      'CreateStream',
      { StreamName: 'n', StreamModeDetails: { StreamMode: 'PROVISIONED' } },
      argument,
      /ShardCount/,
    ],
    ['no shard', 'CreateStream', { StreamName: 'n', ShardCount: 0 }, validation, /'shardCount'/],
    [
      'an on-demand stream with shards',
      'CreateStream',
      { StreamName: 'n', ShardCount: 1, StreamModeDetails: { StreamMode: 'ON_DEMAND' } },
      argument,
      /takes no ShardCount/,
    ],
    [
      'a nested member that is missing',
      'CreateStream',
      { StreamName: 'n', ShardCount: 1, StreamModeDetails: {} },
      validation,
      /'streamModeDetails\.streamMode'/,
    ],
    [
      'more shards than the account has',
      'CreateStream',
      { StreamName: 'n', ShardCount: 20_001 },
      'LimitExceededException',
      /shard limit/,
    ],
    [
      'a reserved tag',
      'AddTagsToStream',
      { StreamName: 's', Tags: { 'aws:a': '1' } },
      argument,
      /reserved/,
    ],
    [
      'too many tags',
      'AddTagsToStream',
      {
        StreamName: 's',
        Tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, ''])),
      },
      argument,
      /50 tags/,
    ],
    [
      'a shard that cannot be',
      'DescribeStream',
      { StreamName: 's', ExclusiveStartShardId: 'shardId-x' },
      'ResourceNotFoundException',
      /Could not find shard shardId-x/,
    ],
    ['no tags', 'AddTagsToStream', { StreamName: 's', Tags: {} }, validation, /'tags'/],
    [
      'a retention under a day',
      'DecreaseStreamRetentionPeriod',
      { StreamName: 's', RetentionPeriodHours: 23 },
      argument,
      /from 24 to 8760/,
    ],
    [
      'a retention over a year',
      'IncreaseStreamRetentionPeriod',
      { StreamName: 's', RetentionPeriodHours: 8761 },
      argument,
      /from 24 to 8760/,
    ],
    [
      'a decrease that is none',
      'DecreaseStreamRetentionPeriod',
      { StreamName: 's', RetentionPeriodHours: 48 },
      argument,
      /not be a decrease/,
    ],
    ['deleting what is not there', 'DeleteStream', { StreamName: 'n' }, missing, /not found/],
    [
      'a page and a name',
      'ListStreams',
      { NextToken: 'x', ExclusiveStartStreamName: 'a' },
      argument,
      /together/,
    ],
    ['a page that was made up', 'ListShards', { NextToken: 'x' }, argument, /Invalid NextToken/],
    [
      'a page and a stream',
      'ListShards',
      { NextToken: 'x', StreamName: 's' },
      argument,
      /no other member/,
    ],
    [
      'a filter without its time',
      'ListShards',
      { StreamName: 's', ShardFilter: { Type: 'AT_TIMESTAMP' } },
      argument,
      /Timestamp is needed/,
    ],
    [
      'a filter with a shard it has no use for',
      'ListShards',
      { StreamName: 's', ShardFilter: { Type: 'AT_LATEST', ShardId: 'shardId-000000000000' } },
      argument,
      /ShardId cannot be given/,
    ],
    [
      'a stream of another creation',
      'ListShards',
      { StreamName: 's', StreamCreationTimestamp: 1 },
      missing,
      /created/,
    ],
  ])('%s: %s', async (_what, operation, input, code, message) => {
    const lab = await startLab()
    lab.ensureStream('s', 1)
    const answer = await rawCall(lab, operation, input)
    expect(answer).toMatchObject({ status: 400, type: code })
    expect(answer.message).toMatch(message)
    expect(lab.streams.names()).toEqual(['s'])
    expect(lab.streams.records('s')).toEqual([])
  })
})
