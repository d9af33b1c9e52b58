import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Shard, Stream } from '../streams/stream.ts'
import { integer, oneOf, required, structure, timestampMs } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'
import {
  isAfterShard,
  nextToken,
  resultsMax,
  shardId,
  streamMembers,
  streamName,
  streamOf,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { openPage, sealPage } from './pages.ts'
import { shardDescription } from './streams.ts'

const streamsListedDefault = 100
const shardsListedMax = 1_000

export const listStreams = operation(
  'ListStreams',
  structure({ Limit: resultsMax, ExclusiveStartStreamName: streamName, NextToken: nextToken }),
  (context, input, { wire }) => {
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
      StreamSummaries: page.map((stream) => streamSummary(stream, wire)),
      HasMoreStreams: streams.length > limit,
      ...(streams.length > limit && last
        ? { NextToken: sealPage(context, 'listStreams', { after: last.name }) }
        : {}),
    }
  },
)

const streamSummary = (stream: Stream, wire: WireFormat) => ({
  StreamName: stream.name,
  StreamARN: stream.arn,
  StreamStatus: stream.status,
  StreamModeDetails: { StreamMode: stream.mode },
  StreamCreationTimestamp: wire.time(stream.createdMs),
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
    const { stream, shards, filter } =
      input.NextToken === undefined
        ? firstShards(context, input)
        : nextShards(context, input.NextToken, input)
    const limit = Math.min(input.MaxResults ?? shardsListedMax, shardsListedMax)
    const page = shards.slice(0, limit)
    const last = page.at(-1)
    if (shards.length <= limit || !last) return { Shards: page.map(shardDescription) }
    const next = { after: last.id, streamCreatedMs: stream.createdMs, filter: { ...filter } }
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
  /** The shards that remain to be listed, in order. */
  readonly shards: readonly Shard[]
  /** The filter of the first page, which applies to all pages. */
  readonly filter: ShardFilter | undefined
}

function firstShards(context: OperationContext, input: ListShardsRequest): ShardPage {
  const stream = streamOf(context, input)
  refuseOtherCreation(context, stream, input.StreamCreationTimestamp)
  const filter = input.ShardFilter
  checkFilter(filter)
  const after = input.ExclusiveStartShardId ?? filter?.ShardId
  return { stream, shards: shardsListed(context, stream, filter, after), filter }
}

function nextShards(context: OperationContext, token: string, input: ListShardsRequest): ShardPage {
  const { StreamName, StreamCreationTimestamp, ExclusiveStartShardId } = input
  if ([StreamName, StreamCreationTimestamp, ExclusiveStartShardId].some((m) => m !== undefined)) {
    throw invalidArgument(
      'NextToken names the stream and the position: no other member may name them.',
    )
  }
  const page = openPage(context, 'listShards', token)
  const stream = context.streams.getCreated(page.streamCreatedMs)
  if (input.StreamARN !== undefined && input.StreamARN !== stream.arn) {
    throw invalidArgument(`The NextToken is not of stream ${input.StreamARN}.`)
  }
  // This server sealed the filter: it is a ShardFilter, or empty.
  const filter = page.filter?.['Type'] ? (page.filter as unknown as ShardFilter) : undefined
  const { ShardFilter: given } = input
  if (given !== undefined && JSON.stringify(given) !== JSON.stringify(filter)) {
    throw invalidArgument('NextToken has the ShardFilter of the first page, which is another one.')
  }
  return { stream, shards: shardsListed(context, stream, filter, page.after), filter }
}

/** @throws ServiceError ResourceNotFoundException for another stream of the same name */
export function refuseOtherCreation(
  context: OperationContext,
  stream: Stream,
  createdMs: number | undefined,
): void {
  if (createdMs === undefined || createdMs === stream.createdMs) return
  throw new ServiceError(
    'ResourceNotFoundException',
    `No stream ${stream.name} under account ${context.accountId} was created at ${createdMs} ms.`,
  )
}

function shardsListed(
  context: OperationContext,
  stream: Stream,
  filter: ShardFilter | undefined,
  after: string | undefined,
): readonly Shard[] {
  if (stream.status === 'CREATING' || stream.status === 'DELETING') {
    throw new ServiceError(
      'ResourceInUseException',
      `Stream ${stream.name} under account ${context.accountId} not ACTIVE, instead in state ` +
        `${stream.status}.`,
    )
  }
  context.streams.trim(stream)
  const holds = filterOf(stream, filter)
  const isAfter = isAfterShard(context, stream, after)
  return stream.shards.filter((shard) => isAfter(shard) && holds(shard))
}

/** No filter lists expired shards: they are removed from the stream. */
function filterOf(stream: Stream, filter: ShardFilter | undefined): (shard: Shard) => boolean {
  const ids = new Set(stream.shards.map(({ id }) => id))
  // checkFilter has made sure that the filters which need a time have one.
  const atMs = filter?.Timestamp ?? 0
  const filters: Readonly<Record<ShardFilter['Type'], (shard: Shard) => boolean>> = {
    AFTER_SHARD_ID: () => true,
    FROM_TRIM_HORIZON: () => true,
    // A shard begins when its parents end: while a parent is listed, it began after the horizon.
    AT_TRIM_HORIZON: ({ parentIds }) => !parentIds.some((id) => ids.has(id)),
    AT_LATEST: (shard) => shard.closedMs === undefined,
    AT_TIMESTAMP: openAt(atMs),
    FROM_TIMESTAMP: (shard) => (shard.closedMs ?? Infinity) >= atMs,
  }
  return filters[filter?.Type ?? 'FROM_TRIM_HORIZON']
}

const openAt = (atMs: number) => (shard: Shard) =>
  shard.createdMs <= atMs && (shard.closedMs ?? Infinity) >= atMs

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
