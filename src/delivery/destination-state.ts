import type { Clock } from '../base/clock.ts'
import type { Failure } from '../aws/call/failure-class.ts'
import { adviceOn } from '../aws/call/failure-class.ts'
import type { Backoff } from './outcome/backoff.ts'
import type { FailureReport } from './outcome/failure-report.ts'
import type { ShardWatch } from './shards/shard-watch.ts'

/** The state of the delivery to a destination, as the API shows it. */
export interface DestinationState {
  /**
   * `delivering`: its records are sent as they come; `throttled`: shards of the stream, or keys,
   * wait; `retrying`: calls fail for a reason that passes; `refusing`: the destination takes
   * nothing until the cause is fixed.
   */
  readonly state: 'delivering' | 'throttled' | 'retrying' | 'refusing'
  readonly callsInFlight: number
  /** The shards that are throttled. */
  readonly throttledShards: number
  /** The latest failure of a call; absent while calls succeed. */
  readonly reason?: { readonly code: string; readonly message: string } | undefined
  /** What an operator can do about it. */
  readonly advice?: string | undefined
  /** Milliseconds since a destination that refuses refused for the first time. */
  readonly refusingMs?: number | undefined
  /** Milliseconds until the next call may try a destination that fails. */
  readonly nextTryMs?: number | undefined
}

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
