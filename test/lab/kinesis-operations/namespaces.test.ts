import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  ListStreamsCommand,
  PutRecordCommand,
  RegisterStreamConsumerCommand,
} from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { kinesisClient, noDelays, rawCall, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const home = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const farAccount = 'arn:aws:kinesis:us-east-1:111111111111:stream/s'
const farRegion = 'arn:aws:kinesis:eu-west-1:000000000000:stream/s'
const record = { PartitionKey: 'key', Data: Buffer.from('data') }

const openLab = () => startLab({ statusMs: noDelays, createsMissingStreams: true })
const europe = (lab: { port: number }) => kinesisClient(lab, 'HTTP/1.1', { region: 'eu-west-1' })
type Client = ReturnType<typeof kinesisClient>

async function arnIn(client: Client): Promise<string | undefined> {
  const { StreamDescriptionSummary } = await client.send(
    new DescribeStreamSummaryCommand({ StreamName }),
  )
  return StreamDescriptionSummary?.StreamARN
}

describe('regions', () => {
  test('the credential scope names the region of streams and of their ARNs', async () => {
    const lab = await openLab()
    const clients = [kinesisClient(lab), europe(lab)]
    for (const client of clients) {
      await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
    }
    expect(await Promise.all(clients.map(arnIn))).toEqual([home, farRegion])
    await clients[1]?.send(new PutRecordCommand({ StreamName, ...record }))
    expect(lab.streams.records(home)).toEqual([])
    expect(lab.streams.records(farRegion)).toHaveLength(1)
  })

  test('a stream of another region is not there, and the error says where it is', async () => {
    const lab = await startLab()
    lab.ensureStream(StreamName)
    await expect(arnIn(europe(lab))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: expect.stringMatching(/for eu-west-1; there is one in us-east-1/),
    })
    await expect(
      europe(lab).send(new PutRecordCommand({ StreamARN: home, ...record })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    expect(await europe(lab).send(new ListStreamsCommand({}))).toMatchObject({ StreamNames: [] })
  })

  test('an unsigned call is in the region of the lab, or in that of its ARN', async () => {
    const lab = await openLab()
    lab.ensureStream(farRegion)
    const missing = await rawCall(lab, 'DescribeStreamSummary', { StreamName })
    expect(missing.type).toBe('ResourceNotFoundException')
    const found = await rawCall(lab, 'DescribeStreamSummary', { StreamARN: farRegion })
    expect(found.output).toMatchObject({ StreamDescriptionSummary: { StreamARN: farRegion } })
  })

  test('a region of China has its own partition', async () => {
    const lab = await openLab()
    const client = kinesisClient(lab, 'HTTP/1.1', { region: 'cn-north-1' })
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
    expect(await arnIn(client)).toBe('arn:aws-cn:kinesis:cn-north-1:000000000000:stream/s')
  })
})

describe('accounts', () => {
  test('the ARN names the account, for every operation that takes one', async () => {
    const lab = await openLab()
    const client = kinesisClient(lab)
    await client.send(new PutRecordCommand({ StreamARN: farAccount, ...record }))
    await client.send(new PutRecordCommand({ StreamARN: home, ...record }))
    await client.send(new PutRecordCommand({ StreamARN: home, ...record }))
    expect([home, farAccount].map((arn) => lab.streams.records(arn).length)).toEqual([2, 1])

    const { Shards, NextToken } = await client.send(
      new ListShardsCommand({ StreamARN: farAccount, MaxResults: 3 }),
    )
    const rest = await client.send(new ListShardsCommand({ NextToken }))
    const shards = [...(Shards ?? []), ...(rest.Shards ?? [])]
    const reads = shards.map(async ({ ShardId }) => {
      const { ShardIterator } = await client.send(
        new GetShardIteratorCommand({
          StreamARN: farAccount,
          ShardId,
          ShardIteratorType: 'TRIM_HORIZON',
        }),
      )
      const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }))
      return Records?.length ?? 0
    })
    expect((await Promise.all(reads)).reduce((sum, count) => sum + count, 0)).toBe(1)

    const { Consumer } = await client.send(
      new RegisterStreamConsumerCommand({ StreamARN: farAccount, ConsumerName: 'c' }),
    )
    expect(Consumer?.ConsumerARN).toContain(`${farAccount}/consumer/c:`)
    const { StreamNames } = await client.send(new ListStreamsCommand({}))
    expect(StreamNames).toEqual([StreamName])
    expect(lab.streams.names()).toEqual([StreamName])
  })

  test('errors name the account of the ARN', async () => {
    const lab = await startLab()
    const missing = await rawCall(lab, 'DescribeStreamSummary', { StreamARN: farAccount })
    expect(missing.message).toBe('Stream s under account 111111111111 not found.')
  })
})
