import { PutRecordCommand, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { encode } from 'cbor-x'
import { idOf, nameOfError } from './bench.ts'
import type { Case } from './cases.ts'

const past = String(1n << 128n)
const middle = String(1n << 127n)
const Data = Buffer.from('x')
const mebibyte = 1024 * 1024

export const putCases: readonly Case[] = [
  {
    name: 'PutRecord answers shard and sequence number, and no encryption where there is none',
    async run({ client, common }) {
      const { StreamName } = await common()
      const command = new PutRecordCommand({ StreamName, PartitionKey: 'k', Data })
      const { ShardId, SequenceNumber, EncryptionType } = await client.send(command)
      return [ShardId, /^\d{56}$/.test(SequenceNumber ?? ''), EncryptionType === undefined]
    },
    expected: [idOf(0), true, true],
    differences: { 'kinesis-local': '`EncryptionType` is `NONE`' },
  },
  {
    name: 'PutRecord to a missing stream',
    run: ({ client }) =>
      nameOfError(
        client.send(new PutRecordCommand({ StreamName: 'missing', PartitionKey: 'k', Data })),
      ),
    expected: 'ResourceNotFoundException',
  },
  {
    name: 'PutRecords chooses shards by the MD5 of the key, or by the explicit hash key',
    async run({ client, stream }) {
      const { StreamName } = await stream(4)
      const Records = [
        ...['a', 'b', 'c', 'é', '😀'].map((PartitionKey) => ({ PartitionKey, Data })),
        { PartitionKey: 'a', ExplicitHashKey: middle, Data },
      ]
      const answer = await client.send(new PutRecordsCommand({ StreamName, Records }))
      return answer.Records?.map(({ ShardId }) => Number(ShardId?.slice(-12)))
    },
    expected: [0, 2, 1, 1, 0, 2],
  },
  {
    name: 'PutRecord with an explicit hash key past 2^128 - 1',
    async run({ client, common }) {
      const { StreamName } = await common()
      const record = { StreamName, PartitionKey: 'k', ExplicitHashKey: past, Data }
      return nameOfError(client.send(new PutRecordCommand(record)))
    },
    expected: 'InvalidArgumentException',
  },
  {
    name: 'PutRecord with a key of 257 characters',
    async run({ client, common }) {
      const { StreamName } = await common()
      const record = { StreamName, PartitionKey: 'k'.repeat(257), Data }
      return nameOfError(client.send(new PutRecordCommand(record)))
    },
    expected: 'ValidationException',
    differences: { 'kinesis-local': '`InvalidArgumentException`' },
  },
  {
    name: 'PutRecord of 1 MiB, with the key 1 byte over the limit of the stream',
    async run({ client, stream }) {
      const { StreamName } = await stream()
      const record = { StreamName, PartitionKey: 'k', Data: Buffer.alloc(mebibyte) }
      return nameOfError(client.send(new PutRecordCommand(record)))
    },
    expected: 'InvalidArgumentException',
    notAsked: { 'kinesis-local': 'too slow' },
    differences: { kinesalite: 'takes it' },
  },
  {
    name: 'PutRecord with a SequenceNumberForOrdering of nobody',
    async run({ client, common }) {
      const { StreamName } = await common()
      const record = { StreamName, PartitionKey: 'k', Data, SequenceNumberForOrdering: '1' }
      return nameOfError(client.send(new PutRecordCommand(record)))
    },
    expected: 'InvalidArgumentException',
    differences: { kinesalite: 'takes it' },
  },
  {
    name: 'PutRecords of 501 records',
    async run({ client, common }) {
      const { StreamName } = await common()
      const Records = Array.from({ length: 501 }, () => ({ PartitionKey: 'k', Data }))
      return nameOfError(client.send(new PutRecordsCommand({ StreamName, Records })))
    },
    expected: 'ValidationException',
    differences: { 'kinesis-local': 'takes them' },
  },
  {
    name: 'PutRecords of 6 MiB, where 10 MiB are allowed',
    async run({ client, stream }) {
      const { StreamName } = await stream(8)
      const Records = Array.from({ length: 8 }, (_, index) => ({
        PartitionKey: 'k',
        ExplicitHashKey: String((1n << 125n) * BigInt(index)),
        Data: Buffer.alloc((6 * mebibyte) / 8),
      }))
      return nameOfError(client.send(new PutRecordsCommand({ StreamName, Records })))
    },
    expected: 'no error',
    notAsked: { 'kinesis-local': 'too slow' },
    differences: { kinesalite: '413, as over 7 MiB of JSON' },
  },
  {
    name: 'PutRecords of more than 1000 records in a second fails entry by entry',
    async run({ client, stream }) {
      const { StreamName } = await stream()
      const Records = Array.from({ length: 500 }, () => ({ PartitionKey: 'k', Data }))
      const calls = [1, 2, 3].map(() => client.send(new PutRecordsCommand({ StreamName, Records })))
      const codes = (await Promise.all(calls))
        .flatMap((answer) => answer.Records ?? [])
        .map(({ ErrorCode = 'stored' }) => ErrorCode)
      return [...new Set(codes)].toSorted()
    },
    expected: ['ProvisionedThroughputExceededException', 'stored'],
    differences: { kinesalite: 'takes all', 'kinesis-local': 'takes all' },
  },
  {
    name: 'Sequence numbers of a shard grow from record to record',
    async run({ stream }) {
      const { put } = await stream()
      const numbers: bigint[] = []
      for (let index = 0; index < 12; index++) numbers.push(BigInt(await put(String(index))))
      return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0n))
    },
    expected: true,
  },
  {
    name: 'PutRecord in CBOR, as the Java clients and the producer library send it',
    async run({ port, common }) {
      const { StreamName } = await common()
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-cbor-1.1',
          'x-amz-target': 'Kinesis_20131202.PutRecord',
          'x-amz-date': '20260101T000000Z',
          authorization:
            'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=a',
        },
        body: encode({ StreamName, PartitionKey: 'k', Data }),
      })
      return [response.status, response.headers.get('content-type')]
    },
    expected: [200, 'application/x-amz-cbor-1.1'],
  },
]
