import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import type { GetRecordsCommandOutput } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'

/** The calls that read a stream, and the only place that makes them. */
export interface StreamReader {
  /** Shard ids of the stream, open and closed. */
  listShards(streamName: string): Promise<string[]>
  shardIterator(streamName: string, shardId: string, start: ShardStart): Promise<string>
  getRecords(shardIterator: string): Promise<GetRecordsCommandOutput>
  close(): void
}

export type ShardStart =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | { readonly type: 'AFTER_SEQUENCE_NUMBER'; readonly sequenceNumber: string }

export interface KinesisAccess {
  readonly region: string
  /** The lab's; absent means AWS, or what the SDK's own variables say. */
  readonly endpoint?: string
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export function createStreamReader(access: KinesisAccess): StreamReader {
  const client = new KinesisClient({
    ...access,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ requestTimeout: 30_000, connectionTimeout: 5_000 }),
  })
  return {
    async listShards(streamName) {
      const shardIds: string[] = []
      let nextToken: string | undefined
      do {
        // The API takes the name on the first page only: the token stands for it afterwards.
        const page = await client.send(
          new ListShardsCommand(nextToken ? { NextToken: nextToken } : { StreamName: streamName }),
        )
        shardIds.push(...(page.Shards ?? []).flatMap(({ ShardId }) => ShardId ?? []))
        nextToken = page.NextToken
      } while (nextToken)
      return shardIds
    },
    async shardIterator(streamName, shardId, start) {
      const { ShardIterator } = await client.send(
        new GetShardIteratorCommand({
          StreamName: streamName,
          ShardId: shardId,
          ShardIteratorType: start.type,
          ...(start.type === 'AFTER_SEQUENCE_NUMBER' && {
            StartingSequenceNumber: start.sequenceNumber,
          }),
        }),
      )
      if (!ShardIterator) throw new Error(`Kinesis gave no iterator for ${streamName}/${shardId}`)
      return ShardIterator
    },
    getRecords: (shardIterator) =>
      client.send(new GetRecordsCommand({ ShardIterator: shardIterator })),
    close: () => client.destroy(),
  }
}
