import { ServiceError } from '../wire/service-error.ts'
import type { Namespace } from './namespace.ts'
import type { Shard, Stream } from './stream.ts'

/** The quota of shards of a new AWS account in the large regions. */
export const shardsPerAccountMax = 20_000
/** Open and closed shards: a closed one is stored for the retention period of its stream. */
const shardsStoredMax = 2 * shardsPerAccountMax

/**
 * Counts the shards of a namespace, and refuses too many of them.
 *
 * @param own the streams of the namespace
 * @param all the streams of all namespaces, which share the memory
 */
export function createShardCounts(
  { accountId, region }: Namespace,
  own: () => readonly Stream[],
  all: () => readonly Stream[],
) {
  const openShardCount = () => count(own(), (stream) => stream.openShards)
  return {
    openShardCount,
    /** @throws ServiceError LimitExceededException when so many more shards are too many */
    refuseTooManyShards: (moreCount: number): void => {
      const isOver =
        openShardCount() + moreCount > shardsPerAccountMax ||
        count(all(), (stream) => stream.shards) + moreCount > shardsStoredMax
      if (!isOver) return
      throw new ServiceError(
        'LimitExceededException',
        `This request would exceed the shard limit for the account ${accountId} in ${region}: ` +
          `${openShardCount()} of ${shardsPerAccountMax} are in use.`,
      )
    },
  }
}

const count = (streams: readonly Stream[], of: (stream: Stream) => readonly Shard[]) =>
  streams.reduce((sum, stream) => sum + of(stream).length, 0)
