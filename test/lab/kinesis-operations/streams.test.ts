import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeLimitsCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  ListShardsCommand,
  ListTagsForStreamCommand,
  RemoveTagsFromStreamCommand,
  paginateListStreams,
  waitUntilStreamExists,
  waitUntilStreamNotExists,
} from '@aws-sdk/client-kinesis'
import type { ListShardsCommandInput, ListShardsCommandOutput } from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { kinesisClient, rawCall, startLab } from '../lab-fixtures.ts'

const StreamName = 's'

describe('a stream', () => {
  test('is ACTIVE as soon as it is created, and described in both ways', async () => {
    const clock = createManualClock()
    const client = kinesisClient(await startLab({ clock }))
    await client.send(new CreateStreamCommand({ StreamName, ShardCount: 2, Tags: { team: 'a' } }))
    await waitUntilStreamExists({ client, maxWaitTime: 15 }, { StreamName })

    const common = {
      StreamName,
      StreamARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
      StreamStatus: 'ACTIVE',
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
      RetentionPeriodHours: 24,
      StreamCreationTimestamp: new Date(clock.wallMs()),
      EncryptionType: 'NONE',
    }
    const { StreamDescription } = await client.send(new DescribeStreamCommand({ StreamName }))
    expect(StreamDescription).toMatchObject({ ...common, HasMoreShards: false })
    expect(StreamDescription?.Shards?.map((shard) => [shard.ShardId, shard.HashKeyRange])).toEqual([
      [
        'shardId-000000000000',
        { StartingHashKey: '0', EndingHashKey: '170141183460469231731687303715884105727' },
      ],
      [
        'shardId-000000000001',
        {
          StartingHashKey: '170141183460469231731687303715884105728',
          EndingHashKey: '340282366920938463463374607431768211455',
        },
      ],
    ])
    const summary = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
    expect(summary.StreamDescriptionSummary).toMatchObject({
      ...common,
      OpenShardCount: 2,
      ConsumerCount: 0,
      MaxRecordSizeInKiB: 1024,
    })
    const tags = await client.send(new ListTagsForStreamCommand({ StreamName }))
    expect(tags.Tags).toEqual([{ Key: 'team', Value: 'a' }])
  })

  test('in on-demand mode has four shards and counts against the limits', async () => {
    const client = kinesisClient(await startLab())
    const StreamModeDetails = { StreamMode: 'ON_DEMAND' } as const
    await client.send(new CreateStreamCommand({ StreamName, StreamModeDetails }))
    expect(await client.send(new DescribeLimitsCommand({}))).toMatchObject({
      ShardLimit: 20_000,
      OpenShardCount: 4,
      OnDemandStreamCount: 1,
      OnDemandStreamCountLimit: 50,
    })
  })

  test('is gone with its records once deleted', async () => {
    const lab = await startLab()
    const client = kinesisClient(lab)
    lab.ensureStream(StreamName, 1)
    await rawCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data: '' })
    await client.send(new DeleteStreamCommand({ StreamName }))
    await waitUntilStreamNotExists({ client, maxWaitTime: 15 }, { StreamName })
    lab.ensureStream(StreamName, 1)
    expect(lab.streams.records(StreamName)).toEqual([])
  })

  test('is left as it is when it is ensured again', async () => {
    const lab = await startLab({ shardCount: 3 })
    lab.ensureStream(StreamName)
    await rawCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data: '' })
    lab.ensureStream(StreamName, 7)
    expect(lab.streams.records(StreamName)).toHaveLength(1)
    const { output } = await rawCall(lab, 'DescribeStreamSummary', { StreamName })
    expect(output).toMatchObject({ StreamDescriptionSummary: { OpenShardCount: 3 } })
  })

  test('has tags that are set, replaced, listed in pages and removed', async () => {
    const lab = await startLab()
    lab.ensureStream(StreamName)
    const client = kinesisClient(lab)
    const list = async (more = {}) => {
      const command = new ListTagsForStreamCommand({ StreamName, ...more })
      const { Tags = [], HasMoreTags } = await client.send(command)
      return [Tags.map((tag) => `${tag.Key}=${tag.Value}`).join(), HasMoreTags]
    }
    await client.send(new AddTagsToStreamCommand({ StreamName, Tags: { b: '1', a: '2', c: '' } }))
    await client.send(new AddTagsToStreamCommand({ StreamName, Tags: { b: '3' } }))
    expect(await list()).toEqual(['a=2,b=3,c=', false])
    expect(await list({ Limit: 2 })).toEqual(['a=2,b=3', true])
    expect(await list({ Limit: 2, ExclusiveStartTagKey: 'b' })).toEqual(['c=', false])
    await client.send(new RemoveTagsFromStreamCommand({ StreamName, TagKeys: ['a', 'none'] }))
    expect(await list()).toEqual(['b=3,c=', false])
  })
})

describe('lists', () => {
  test.each([1, 2, 3, 100])('streams in pages of %i, sorted', async (pageSize) => {
    const lab = await startLab()
    for (const name of ['c', 'a', 'B', 'd']) lab.ensureStream(name, 1)
    const names: string[] = []
    const arns: string[] = []
    const pages = paginateListStreams({ client: kinesisClient(lab), pageSize }, {})
    for await (const page of pages) {
      expect(page.StreamNames?.length).toBeLessThanOrEqual(pageSize)
      names.push(...(page.StreamNames ?? []))
      for (const { StreamARN = '' } of page.StreamSummaries ?? []) arns.push(StreamARN)
    }
    expect(names).toEqual(['B', 'a', 'c', 'd'])
    expect(arns).toEqual(
      names.map((name) => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`),
    )
  })

  test('streams behind a name', async () => {
    const lab = await startLab()
    for (const name of ['a', 'b', 'c']) lab.ensureStream(name, 1)
    const { output } = await rawCall(lab, 'ListStreams', {
      ExclusiveStartStreamName: 'a',
      Limit: 1,
    })
    expect(output).toMatchObject({ StreamNames: ['b'], HasMoreStreams: true })
  })

  test.each([1, 3, 5, 1000])('shards in pages of %i', async (pageSize) => {
    const lab = await startLab()
    lab.ensureStream(StreamName, 5)
    const client = kinesisClient(lab)
    const ids: (string | undefined)[] = []
    let input: ListShardsCommandInput | undefined = { StreamName, MaxResults: pageSize }
    while (input) {
      const page: ListShardsCommandOutput = await client.send(new ListShardsCommand(input))
      expect(page.Shards?.length).toBeLessThanOrEqual(pageSize)
      ids.push(...(page.Shards ?? []).map((shard) => shard.ShardId))
      const { NextToken } = page
      input = NextToken === undefined ? undefined : { NextToken, MaxResults: pageSize }
    }
    expect(ids).toEqual([0, 1, 2, 3, 4].map((number) => `shardId-00000000000${number}`))
  })

  const createdSeconds = Date.UTC(2026, 0, 1) / 1000
  test.each([
    ['FROM_TRIM_HORIZON', {}, 3],
    ['AT_TRIM_HORIZON', {}, 3],
    ['AT_LATEST', {}, 3],
    ['AFTER_SHARD_ID', { ShardId: 'shardId-000000000000' }, 2],
    ['AT_TIMESTAMP', { Timestamp: createdSeconds }, 3],
    ['AT_TIMESTAMP', { Timestamp: createdSeconds - 1 }, 0],
    ['FROM_TIMESTAMP', { Timestamp: createdSeconds - 1 }, 3],
  ])('shards by the filter %s %j', async (Type, members, count) => {
    const lab = await startLab({ clock: createManualClock() })
    lab.ensureStream(StreamName, 3)
    const input = { StreamName, ShardFilter: { Type, ...members } }
    const { output } = await rawCall(lab, 'ListShards', input)
    expect(output['Shards']).toHaveLength(count)
  })

  test('shards by a filter that holds from page to page', async () => {
    const lab = await startLab({ clock: createManualClock() })
    lab.ensureStream(StreamName, 3)
    const ShardFilter = { Type: 'AT_TIMESTAMP', Timestamp: createdSeconds }
    let input: object | undefined = { StreamName, ShardFilter, MaxResults: 1 }
    const sizes: number[] = []
    while (input) {
      const { output } = await rawCall(lab, 'ListShards', input)
      sizes.push((output['Shards'] as object[]).length)
      const { NextToken } = output
      input = NextToken === undefined ? undefined : { NextToken, MaxResults: 1 }
    }
    expect(sizes).toEqual([1, 1, 1])
  })

  test('describe a large stream in pages of 100 shards', async () => {
    const lab = await startLab()
    lab.ensureStream(StreamName, 150)
    const describeFrom = async (more: object) => {
      const { output } = await rawCall(lab, 'DescribeStream', { StreamName, ...more })
      return output['StreamDescription'] as { Shards: object[]; HasMoreShards: boolean }
    }
    const first = await describeFrom({})
    expect([first.Shards.length, first.HasMoreShards]).toEqual([100, true])
    const second = await describeFrom({ ExclusiveStartShardId: 'shardId-000000000099' })
    expect([second.Shards.length, second.HasMoreShards]).toEqual([50, false])
  })

  test.each(['ListStreams', 'ListShards'])('%s refuses a page after five minutes', async (name) => {
    const clock = createManualClock()
    const lab = await startLab({ clock })
    for (const stream of ['a', 'b']) lab.ensureStream(stream, 2)
    const first = name === 'ListShards' ? { StreamName: 'a', MaxResults: 1 } : { Limit: 1 }
    const { NextToken } = (await rawCall(lab, name, first)).output
    clock.advance(300_000)
    expect(await rawCall(lab, name, { NextToken })).toMatchObject({ status: 200 })
    clock.advance(1)
    const late = await rawCall(lab, name, { NextToken })
    expect(late.type).toBe('ExpiredNextTokenException')
    const otherName = name === 'ListShards' ? 'ListStreams' : 'ListShards'
    const other = await rawCall(lab, otherName, { NextToken })
    expect(other.type, 'a token is for its own operation').toBe('InvalidArgumentException')
  })
})
