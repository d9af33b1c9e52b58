import type { Clock } from '../base/clock.ts'
import type { Failure } from '../aws/call/failure-class.ts'
import { adviceOn } from '../aws/call/failure-class.ts'
import type { DestinationState } from '../outbox/managed-outbox.ts'
import type { Backoff } from './outcome/backoff.ts'
import type { FailureReport } from './outcome/failure-report.ts'
import type { ShardWatch } from './shards/shard-watch.ts'

/** What the API shows of a destination. */
export interface DestinationViews {
  state(): DestinationState
  /** What is known of the shards of its stream. */
  readonly lookAtShards: ShardWatch['look']
}

interface SeenParts {
  readonly backoff: Pick<Backoff, 'condition' | 'failures' | 'opensAtMs'>
  readonly report: Pick<FailureReport, 'latest'>
  readonly shards: Pick<ShardWatch, 'throttled' | 'look'>
  readonly clock: Pick<Clock, 'monotonicMs'>
}

export const destinationViews = (
  parts: SeenParts,
  inFlight: { readonly size: number },
): DestinationViews => ({
  state: () => destinationState(parts, inFlight.size, parts.clock.monotonicMs()),
  lookAtShards: parts.shards.look,
})

/** @param nowMs monotonic */
function destinationState(
  {
    backoff,
    report,
    shards,
  }: Pick<SeenParts, 'backoff' | 'report'> & { readonly shards: Pick<ShardWatch, 'throttled'> },
  callsInFlight: number,
  nowMs: number,
): DestinationState {
  const throttledShards = shards.throttled().length
  const condition = backoff.condition()
  if (!condition && backoff.failures() === 0) {
    return {
      state: throttledShards > 0 ? 'throttled' : 'delivering',
      callsInFlight,
      throttledShards,
    }
  }
  const failure: Failure | undefined = condition?.failure ?? report.latest()
  return {
    state: condition ? 'refusing' : 'retrying',
    callsInFlight,
    throttledShards,
    reason: failure && { code: failure.code, message: failure.message },
    advice: condition && adviceOn(condition.failure),
    refusingMs: condition && Math.round(nowMs - condition.sinceMs),
    nextTryMs: Math.max(0, Math.round(backoff.opensAtMs() - nowMs)),
  }
}
