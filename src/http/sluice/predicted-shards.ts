import { createShardMap } from '../../delivery/shards/shard-map.ts'
import type { ShardMap } from '../../delivery/shards/shard-map.ts'
import type { Producer } from '../../delivery/producer.ts'
import type { StreamDestination } from '../../outbox/outbox.ts'
import type { LabDependencies } from './lab-faults.ts'

/** Tells which shards a stream has, to predict where records would go. */
export interface PredictedShards {
  /** The open shards of a stream, read once. Undefined: they are not known. */
  of(stream: StreamDestination): Promise<Pick<ShardMap, 'shardOf'> | undefined>
}

export interface PredictedShardsDependencies extends LabDependencies {
  readonly sentStreams: Producer['streams']
}

/**
 * For the records of one request. The lab knows its shards; elsewhere only those are known that the
 * producer has listed, because no call is made for a prediction.
 */
export function createPredictedShards({
  inspection,
  sentStreams,
}: PredictedShardsDependencies): PredictedShards {
  const known = new Map<string, ReturnType<PredictedShards['of']>>()

  async function read(stream: StreamDestination) {
    if (inspection) return createShardMap(await inspection.openShards(stream))
    const sent = sentStreams(false).find(
      ({ destination, isListed }) => isListed && isSame(destination, stream),
    )
    return sent && createShardMap(sent.shards.flatMap(({ range }) => range ?? []))
  }

  return {
    of(stream) {
      const name = JSON.stringify([stream.region, stream.streamName, stream.streamArn])
      // A stream that is not there yet has no shards.
      const shards = known.get(name) ?? read(stream).catch(() => undefined)
      known.set(name, shards)
      return shards
    },
  }
}

/** Destinations of one stream differ in their roles and settings. */
const isSame = (one: StreamDestination, other: StreamDestination): boolean =>
  one.region === other.region &&
  one.streamName === other.streamName &&
  one.streamArn === other.streamArn
