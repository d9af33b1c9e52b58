import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import type { KinesisClient } from '@aws-sdk/client-kinesis'

export interface StreamRecord {
  readonly shardId: string
  readonly partitionKey: string
  readonly data: Buffer
}

const pollMs = 20

/**
 * Reads a stream from its beginning until `count` records were seen, each shard in order, and once
 * more, so that a record too many is seen as well. The test's time limit bounds the wait.
 */
export async function readStream(
  kinesis: KinesisClient,
  streamName: string,
  count: number,
): Promise<StreamRecord[]> {
  return readStreamUntil(kinesis, streamName, (records) => records.length >= count)
}

/** The same until `isEnough` says so of what was read, all shards one after the other. */
export async function readStreamUntil(
  kinesis: KinesisClient,
  streamName: string,
  isEnough: (records: readonly StreamRecord[]) => boolean,
): Promise<StreamRecord[]> {
  const shards = await listShards(kinesis, streamName)
  const records: StreamRecord[] = []
  const readAll = async () => {
    for (const shard of shards) {
      const { Records = [], NextShardIterator } = await kinesis.send(
        new GetRecordsCommand({ ShardIterator: shard.iterator }),
      )
      shard.iterator = NextShardIterator
      for (const { PartitionKey = '', Data = new Uint8Array() } of Records) {
        records.push({ shardId: shard.id, partitionKey: PartitionKey, data: Buffer.from(Data) })
      }
    }
  }
  while (!isEnough(records)) {
    await readAll()
    if (!isEnough(records)) await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  await readAll()
  return records
}

/** The shards with an iterator from their beginning; waits until the stream is there. */
async function listShards(kinesis: KinesisClient, streamName: string) {
  for (;;) {
    try {
      const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: streamName }))
      return await Promise.all(
        Shards.map(async ({ ShardId: id = '' }) => {
          const { ShardIterator } = await kinesis.send(
            new GetShardIteratorCommand({
              StreamName: streamName,
              ShardId: id,
              ShardIteratorType: 'TRIM_HORIZON',
            }),
          )
          return { id, iterator: ShardIterator }
        }),
      )
    } catch (thrown) {
      if (!(thrown instanceof Error) || thrown.name !== 'ResourceNotFoundException') throw thrown
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
}
