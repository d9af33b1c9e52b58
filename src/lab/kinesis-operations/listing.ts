import { ServiceError, invalidArgument } from '../service-error.ts'
import type { Shard, Stream } from '../streams.ts'
import { integer, isObject, oneOf, required, structure, timestampMs } from '../validation.ts'
import { nextToken, resultsMax, shardId, streamMembers, streamName, streamOf } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { shardDescription } from './streams.ts'

const streamsListedDefault = 100
const shardsListedMax = 1_000
/** A NextToken can be used for five minutes (API Reference, ListShards). */
const tokenLifetimeMs = 300_000

export const listStreams = operation(
  'ListStreams',
  structure({ Limit: resultsMax, ExclusiveStartStreamName: streamName, NextToken: nextToken }),
  (context, input) => {
    const { ExclusiveStartStreamName: startName, NextToken: token } = input
    if (startName !== undefined && token !== undefined) {
      throw invalidArgument('NextToken and ExclusiveStartStreamName cannot be given together.')
    }
    const after = token === undefined ? startName : openPage(context, 'listStreams', token).after
    const limit = input.Limit ?? streamsListedDefault
    const streams = context.streams
      .list()
      .filter((stream) => after === undefined || stream.name > after)
    const page = streams.slice(0, limit)
    const last = page.at(-1)
    return {
      StreamNames: page.map((stream) => stream.name),
      StreamSummaries: page.map(streamSummary),
      HasMoreStreams: streams.length > limit,
      ...(streams.length > limit && last
        ? { NextToken: sealPage(context, 'listStreams', { after: last.name }) }
        : {}),
    }
  },
)

const streamSummary = (stream: Stream) => ({
  StreamName: stream.name,
  StreamARN: stream.arn,
  StreamStatus: 'ACTIVE',
  StreamModeDetails: { StreamMode: stream.mode },
  StreamCreationTimestamp: stream.createdMs / 1000,
})

const filterTypes = [
  'AFTER_SHARD_ID',
  'AT_TRIM_HORIZON',
  'FROM_TRIM_HORIZON',
  'AT_LATEST',
  'AT_TIMESTAMP',
  'FROM_TIMESTAMP',
] as const

interface ShardFilter {
  readonly Type: (typeof filterTypes)[number]
  readonly ShardId?: string
  readonly Timestamp?: number
}

export const listShards = operation(
  'ListShards',
  structure({
    ...streamMembers,
    NextToken: nextToken,
    ExclusiveStartShardId: shardId,
    MaxResults: integer({ min: 1, max: 10_000 }),
    StreamCreationTimestamp: timestampMs,
    ShardFilter: structure({
      Type: required(oneOf(filterTypes)),
      ShardId: shardId,
      Timestamp: timestampMs,
    }),
  }),
  (context, input) => {
    const { stream, shards, atMs } =
      input.NextToken === undefined
        ? firstShards(context, input)
        : nextShards(context, input.NextToken, input)
    const limit = Math.min(input.MaxResults ?? shardsListedMax, shardsListedMax)
    const page = shards.slice(0, limit)
    const last = page.at(-1)
    if (shards.length <= limit || !last) return { Shards: page.map(shardDescription) }
    const next = { after: last.id, streamName: stream.name, atMs }
    return {
      Shards: page.map(shardDescription),
      NextToken: sealPage(context, 'listShards', next),
    }
  },
)

interface ListShardsRequest {
  readonly StreamName?: string
  readonly StreamARN?: string
  readonly ExclusiveStartShardId?: string
  readonly StreamCreationTimestamp?: number
  readonly ShardFilter?: ShardFilter
}

interface ShardPage {
  readonly stream: Stream
  /** Those still to be listed, in order. */
  readonly shards: readonly Shard[]
  /** Only those that were there at that time; kept from page to page. */
  readonly atMs: number | undefined
}

function firstShards(context: OperationContext, input: ListShardsRequest): ShardPage {
  const stream = streamOf(context, input)
  const created = input.StreamCreationTimestamp
  if (created !== undefined && created !== stream.createdMs) {
    throw new ServiceError(
      'ResourceNotFoundException',
      `No stream ${stream.name} under account ${context.accountId} was created at ${created} ms.`,
    )
  }
  const filter = input.ShardFilter
  checkFilter(filter)
  const after = input.ExclusiveStartShardId ?? filter?.ShardId
  // All shards of the lab are open, so that no other filter leaves any out.
  const atMs = filter?.Type === 'AT_TIMESTAMP' ? filter.Timestamp : undefined
  return { stream, shards: stream.shards.filter((shard) => isListed(shard, after, atMs)), atMs }
}

function nextShards(context: OperationContext, token: string, input: ListShardsRequest): ShardPage {
  const { StreamName, StreamCreationTimestamp, ExclusiveStartShardId } = input
  if ([StreamName, StreamCreationTimestamp, ExclusiveStartShardId].some((m) => m !== undefined)) {
    throw invalidArgument('NextToken names the stream and the place: nothing else may name them.')
  }
  const { after, streamName: name = '', atMs } = openPage(context, 'listShards', token)
  const stream = context.streams.get(name)
  return { stream, shards: stream.shards.filter((shard) => isListed(shard, after, atMs)), atMs }
}

const isListed = (shard: Shard, after: string | undefined, atMs: number | undefined) =>
  (after === undefined || shard.id > after) && (atMs === undefined || shard.createdMs <= atMs)

function checkFilter(filter: ShardFilter | undefined): void {
  if (!filter) return
  const needsTime = filter.Type === 'AT_TIMESTAMP' || filter.Type === 'FROM_TIMESTAMP'
  if (needsTime !== (filter.Timestamp !== undefined)) {
    throw invalidArgument(
      `ShardFilter.Timestamp ${needsTime ? 'is needed' : 'cannot be given'} with ${filter.Type}.`,
    )
  }
  const needsShard = filter.Type === 'AFTER_SHARD_ID'
  if (needsShard !== (filter.ShardId !== undefined)) {
    throw invalidArgument(
      `ShardFilter.ShardId ${needsShard ? 'is needed' : 'cannot be given'} with ${filter.Type}.`,
    )
  }
}

interface Page {
  /** The name or id that the next page begins behind. */
  readonly after: string
  readonly streamName?: string
  readonly atMs?: number | undefined
}

type Listing = 'listStreams' | 'listShards'

const sealPage = (context: OperationContext, kind: Listing, page: Page) =>
  context.tokens.seal({ ...page, kind, issuedMs: context.clock.nowMs() })

function openPage(context: OperationContext, kind: Listing, token: string): Page {
  const content = context.tokens.open(token)
  if (!isObject(content) || content['kind'] !== kind) throw invalidArgument('Invalid NextToken.')
  const ageMs = context.clock.nowMs() - Number(content['issuedMs'])
  if (ageMs > tokenLifetimeMs) {
    throw new ServiceError(
      'ExpiredNextTokenException',
      `NextToken expired. It was made ${ageMs} ms ago and can be used for ${tokenLifetimeMs} ms.`,
    )
  }
  // Sealed by this server from a Page.
  return content as unknown as Page
}
