import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { KinesisCalls, StreamReference } from '../../aws/kinesis-calls.ts'
import { classify } from '../../aws/failure-class.ts'
import { createShardMap } from './shard-map.ts'
import type { ShardMap } from './shard-map.ts'

/** A stream is resharded seldom, and most of it is noticed by other means. */
const mapAgeMaxMs = 300_000
/** Between two lists, whatever is noticed meanwhile: the first may not show a change yet. */
const betweenListsMs = 1_000
/** After a list that failed in passing. */
const afterFailureMs = 30_000
/** After a refusal: a role written for AWS IoT may write and nothing else. */
const afterRefusalMs = 1_800_000

/** The shard map of one stream, learned beside the sending, never in its way. */
interface ShardList {
  /** Undefined until it is learned. */
  map(): ShardMap | undefined
  /**
   * A shard is throttled: learns the map, unless it is known, being learned or refused.
   *
   * @param isStale a shard was named that the map does not know
   */
  wanted(isStale: boolean): void
}

interface ShardListDependencies {
  readonly calls: Pick<KinesisCalls, 'listShards'>
  readonly clock: Clock
  readonly logger: Logger
  readonly stream: StreamReference
  /** Ends the calls under way. */
  readonly signal: AbortSignal
  readonly onLearned: (map: ShardMap) => void
}

export function createShardList(parts: ShardListDependencies): ShardList {
  const { calls, clock, logger, stream, signal } = parts
  let map: ShardMap | undefined
  let isAsking = false
  let learnedMs = -Infinity
  let notBeforeMs = -Infinity

  async function ask(): Promise<void> {
    isAsking = true
    const listing = await calls.listShards(stream, signal)
    isAsking = false
    const nowMs = clock.monotonicMs()
    if (listing.listed) {
      map = createShardMap(listing.shards)
      learnedMs = nowMs
      notBeforeMs = nowMs + betweenListsMs
      parts.onLearned(map)
      return
    }
    const { code, message: reason } = listing.failure
    const isPassing = classify(listing.failure) === 'passing'
    notBeforeMs = nowMs + (isPassing ? afterFailureMs : afterRefusalMs)
    if (isPassing || map !== undefined) return
    const facts = { stream: stream.streamName, code, reason }
    logger.info(facts, 'shards cannot be listed: throttled records wait by partition key')
  }

  return {
    map: () => map,
    wanted(isStale: boolean) {
      if (isAsking || signal.aborted) return
      const nowMs = clock.monotonicMs()
      const isUsable = map !== undefined && !isStale && nowMs - learnedMs < mapAgeMaxMs
      if (!isUsable && nowMs >= notBeforeMs) void ask()
    },
  }
}
