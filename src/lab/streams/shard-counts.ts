import { ServiceError } from '../wire/service-error.ts'
import type { Shard, Stream } from './stream.ts'

/** The quota of shards of a new AWS account in the large regions. */
export const shardsPerAccountMax = 20_000
/** Open and closed shards: a closed one is stored for the retention period of its stream. */
const shardsStoredMax = 2 * shardsPerAccountMax

/** Counts shards, and refuses too many of them. */
export function createShardCounts(
  { accountId, region }: { readonly accountId: string; readonly region: string },
  streams: ReadonlyMap<string, Stream>,
) {
  const count = (of: (stream: Stream) => readonly Shard[]) =>
    [...streams.values()].reduce((sum, stream) => sum + of(stream).length, 0)
  const openShardCount = () => count((stream) => stream.openShards)
  return {
    openShardCount,
    /** @throws ServiceError LimitExceededException when so many more shards are too many */
    refuseTooManyShards: (moreCount: number): void => {
      const isOver =
        openShardCount() + moreCount > shardsPerAccountMax ||
        count((stream) => stream.shards) + moreCount > shardsStoredMax
      if (!isOver) return
      throw new ServiceError(
        'LimitExceededException',
        `This request would exceed the shard limit for the account ${accountId} in ${region}: ` +
          `${openShardCount()} of ${shardsPerAccountMax} are in use.`,
      )
    },
  }
}
