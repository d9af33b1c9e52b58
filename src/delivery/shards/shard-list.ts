import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { KinesisCalls, StreamReference } from '../../aws/kinesis-calls.ts'
import { classify } from '../../aws/call/failure-class.ts'
import { createShardMap } from './shard-map.ts'
import type { ShardMap } from './shard-map.ts'

/** Streams are rarely resharded, and answers that name unknown shards usually show it earlier. */
const mapAgeMaxMs = 300_000
/** The least time between two lists. The first list after a change may not show the change yet. */
const betweenListsMs = 1_000
/** The wait after a failure that passes. */
const afterFailureMs = 30_000
/** The wait after a refusal: a role written for AWS IoT may write and do nothing else. */
const afterRefusalMs = 1_800_000

/** The shard map of one stream. It is learned in the background: sending never waits for it. */
interface ShardList {
  /** Undefined until it is learned. */
  map(): ShardMap | undefined
  /**
   * Learns the map because a shard is throttled, unless the map is known, being learned or refused.
   *
   * @param isStale an answer named another shard for a record than the map does
   */
  wanted(isStale: boolean): void
}

interface ShardListDependencies {
  readonly calls: Pick<KinesisCalls, 'listShards'>
  readonly clock: Clock
  readonly logger: Logger
  readonly stream: StreamReference
  /** Ends the calls in flight. */
  readonly signal: AbortSignal
  readonly onLearned: (map: ShardMap) => void
}

export function createShardList(dependencies: ShardListDependencies): ShardList {
  const { calls, clock, logger, stream, signal, onLearned } = dependencies
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
      onLearned(map)
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
