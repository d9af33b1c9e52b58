import { ListShardsCommand } from '@aws-sdk/client-kinesis'
import type { KinesisClient, ListShardsCommandInput, Shard } from '@aws-sdk/client-kinesis'

/** An open shard and its range of hash keys (0 to 2^128 - 1), both ends included. */
export interface ShardRange {
  readonly shardId: string
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
}

/** AWS's default limits of shards per account are lower than this in every region. */
const shardsListedMax = 20_000
const shardsOfPage = 1_000

/**
 * The open shards of a stream. Rejects with the SDK's error, or where there are too many.
 *
 * @param stream its name or its ARN, as members of a request
 */
export async function listOpenShards(
  client: KinesisClient,
  stream: Pick<ListShardsCommandInput, 'StreamName' | 'StreamARN'>,
  abortSignal: AbortSignal,
): Promise<readonly ShardRange[]> {
  const open: ShardRange[] = []
  const MaxResults = shardsOfPage
  let token: string | undefined
  for (let page = 0; page < shardsListedMax / shardsOfPage; page++) {
    // A request with a token must not repeat the stream and the filter.
    const input =
      token === undefined
        ? { ...stream, MaxResults, ShardFilter: { Type: 'AT_LATEST' as const } }
        : { NextToken: token, MaxResults }
    const { Shards: shards = [], NextToken } = await client.send(new ListShardsCommand(input), {
      abortSignal,
    })
    open.push(...shards.flatMap(rangeOfOpen))
    if (!NextToken) return open
    token = NextToken
  }
  throw new Error(`The stream has more than ${shardsListedMax} shards`)
}

/** Closed shards are left out here too, because not every emulator knows the filter. */
function rangeOfOpen({ ShardId: shardId, HashKeyRange, SequenceNumberRange }: Shard): ShardRange[] {
  const { StartingHashKey, EndingHashKey } = HashKeyRange ?? {}
  if (!shardId || !StartingHashKey || !EndingHashKey) return []
  if (SequenceNumberRange?.EndingSequenceNumber) return []
  return [
    { shardId, startingHashKey: BigInt(StartingHashKey), endingHashKey: BigInt(EndingHashKey) },
  ]
}
