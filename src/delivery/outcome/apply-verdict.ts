import type { Clock } from '../../base/clock.ts'
import { roleArnOf } from '../../outbox/outbox.ts'
import type { Outbox, QueuedDestination } from '../../outbox/outbox.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'
import type { Backoff } from './backoff.ts'
import type { FailureReport } from './failure-report.ts'
import type { GivingUp } from './giving-up.ts'
import type { Failure } from '../../aws/failure-class.ts'
import type { StreamMaker } from './stream-maker.ts'
import type { Outgoing, Returned } from '../call/outgoing.ts'
import { classify } from '../../aws/failure-class.ts'
import { retryDelayMs } from '../call/retry.ts'
import type { SendQueue } from '../queue/send-queue.ts'
import type { ShardWatch } from '../shards/shard-watch.ts'
import type { Verdict } from './verdict.ts'

export interface ApplyVerdictDependencies {
  readonly queued: QueuedDestination
  readonly outbox: Pick<Outbox, 'delivered' | 'destinations'>
  readonly queue: SendQueue
  readonly shards: Pick<ShardWatch, 'knowsShardOf' | 'throttled'>
  readonly backoff: Backoff
  readonly givingUp: GivingUp
  readonly report: FailureReport
  readonly streamMaker: StreamMaker
  readonly metrics: Pick<Metrics, 'recordsRetried'>
  readonly logger: Logger
  readonly clock: Clock
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
  /** Called after records have left the outbox. */
  readonly onRemoved: () => void
}

/** Carries out the verdict on a call that was begun in a generation of the backoff. */
type ApplyVerdict = (
  verdict: Verdict<Outgoing>,
  taken: readonly Outgoing[],
  generation: number,
) => void

/** Carries out verdicts: delivered, sent again, given up; backs off and reports what is wrong. */
export function createApplyVerdict(parts: ApplyVerdictDependencies): ApplyVerdict {
  const { queued, outbox, queue, backoff, report, streamMaker, metrics, logger } = parts
  const { streamName } = queued.destination
  const roleArn = roleArnOf(queued.destination)

  const waiting = () => outbox.destinations().find(({ id }) => id === queued.id)?.records ?? 0

  function countDelivered(delivered: readonly Outgoing[]): void {
    outbox.delivered(
      queued.id,
      delivered.map(({ record }) => record),
    )
    report.recovered()
    streamMaker.found()
    parts.onRemoved()
  }

  function moveBackoff(failure: Failure | undefined, generation: number): void {
    const failureClass = failure && classify(failure)
    if (failure === undefined || failureClass === undefined) {
      backoff.answered()
      return
    }
    backoff.failed(generation, failureClass === 'passing' ? 'passing' : 'destination')
    const isBeingMade = streamMaker.make(failure)
    if (failureClass === 'destination' && !isBeingMade) backoff.refused(failure)
    if (!isBeingMade) report.failed(failure, waiting)
  }

  return (verdict, taken, generation) => {
    const { delivered, refused, failedByCode } = verdict
    queue.release(taken, returnedBy(verdict, parts))
    if (refused.length > 0) void parts.givingUp.giveUp(refused.map((one) => givenUpNow(one, parts)))
    for (const [code, count] of failedByCode) {
      metrics.recordsRetried.inc({ stream: streamName, code }, count)
    }
    if (verdict.putRecordsDenied) {
      logger.info({ stream: streamName, roleArn }, 'role allows PutRecord only: one record a call')
    }
    if (verdict.throttled.length > 0) report.throttled(parts.shards.throttled(), waiting)
    moveBackoff(verdict.destinationFailure, generation)
    if (delivered.length > 0) countDelivered(delivered)
  }
}

/** What of a call is to be sent again, in the order of the outbox. */
function returnedBy(
  verdict: Verdict<Outgoing>,
  { clock, random, shards }: ApplyVerdictDependencies,
): Returned[] {
  const nowMs = clock.monotonicMs()
  const failedMs = clock.wallMs()
  const dueMsByAttempts = new Map<number, number>()
  const ofShards = new Set(verdict.throttled.filter(shards.knowsShardOf))
  const ofKeys = verdict.throttled.filter((outgoing) => !ofShards.has(outgoing))
  const backedOff = [...verdict.backedOff, ...ofKeys].map((outgoing) => {
    const { attempts } = outgoing
    // One delay for all that failed equally often: their key queues wake together and share a call.
    const dueMs =
      dueMsByAttempts.get(attempts) ??
      nowMs + Math.ceil(retryDelayMs('passing', attempts + 1, random()))
    dueMsByAttempts.set(attempts, dueMs)
    return { ...failedOnce(outgoing, failedMs), attempts: attempts + 1, dueMs }
  })
  // The queue holds what is of a throttled shard, for as long as that one waits.
  const again = [...verdict.again, ...ofShards].map((outgoing) => {
    return { ...failedOnce(outgoing, failedMs), dueMs: 0 }
  })
  const alone = verdict.alone.map((outgoing) => {
    return { ...failedOnce(outgoing, failedMs), alone: true, dueMs: 0 }
  })
  return [...backedOff, ...again, ...alone].toSorted(
    (left, right) => left.record.sequence - right.record.sequence,
  )
}

function failedOnce(outgoing: Outgoing, failedMs: number): Outgoing {
  const { failures, firstFailedMs } = outgoing
  return {
    ...outgoing,
    failures: failures + 1,
    firstFailedMs: failures === 0 ? failedMs : firstFailedMs,
  }
}

function givenUpNow(
  { item, failure }: Verdict<Outgoing>['refused'][number],
  { clock }: ApplyVerdictDependencies,
) {
  const lastMs = clock.wallMs()
  const { record, failures, firstFailedMs } = failedOnce(item, lastMs)
  const { code, message } = failure
  return { record, reason: { code, message }, attempts: failures, firstMs: firstFailedMs, lastMs }
}
