import { classify } from '../../aws/call/failure-class.ts'
import type { Failure } from '../../aws/call/failure-class.ts'
import type { Clock } from '../../base/clock.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Outgoing, Returned } from '../call/outgoing.ts'
import { retryDelayMs } from '../call/retry.ts'
import type { SendQueue } from '../queue/send-queue.ts'
import type { ShardWatch } from '../shards/shard-watch.ts'
import type { Backoff } from './backoff.ts'
import type { FailureReport } from './failure-report.ts'
import type { GivingUp } from './giving-up.ts'
import type { StreamMaker } from './stream-maker.ts'
import type { Verdict } from './verdict.ts'

interface ApplyVerdictDependencies {
  readonly queue: Pick<SendQueue, 'release'>
  readonly shards: Pick<ShardWatch, 'knowsShardOf' | 'throttled'>
  readonly backoff: Pick<Backoff, 'answered' | 'failed' | 'refused'>
  readonly givingUp: Pick<GivingUp, 'giveUp'>
  readonly report: Omit<FailureReport, 'latest'>
  readonly streamMaker: StreamMaker
  readonly clock: Clock
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
  /** Removes delivered records from the outbox. */
  readonly onDelivered: (records: readonly QueuedRecord[]) => void
}

/** Carries out the verdict on a call that was started in a generation of the backoff. */
type ApplyVerdict = (
  verdict: Verdict<Outgoing>,
  taken: readonly Outgoing[],
  generation: number,
) => void

/**
 * Makes the function that carries out verdicts: records are removed, sent again or given up, the
 * destination backs off, and failures are reported.
 */
export function createApplyVerdict(dependencies: ApplyVerdictDependencies): ApplyVerdict {
  const { queue, shards, backoff, givingUp, report, streamMaker, onDelivered } = dependencies
  /** True from a failed call until records are delivered. */
  let hasFailed = false

  function moveBackoff(failure: Failure | undefined, generation: number): void {
    if (failure === undefined) {
      backoff.answered()
      return
    }
    hasFailed = true
    const failureClass = classify(failure) === 'passing' ? 'passing' : 'destination'
    backoff.failed(generation, failureClass, failure.retryAfterMs)
    if (streamMaker.make(failure)) return
    if (classify(failure) === 'destination') backoff.refused(failure)
    report.failed(failure)
  }

  function recover(): void {
    hasFailed = false
    report.recovered()
    streamMaker.found()
  }

  return (verdict, taken, generation) => {
    const { delivered, refused, failedByCode, throttled } = verdict
    queue.release(taken, returnedBy(verdict, dependencies))
    if (refused.length > 0) {
      void givingUp.giveUp(refused.map((refusal) => givenUpNow(refusal, dependencies)))
    }
    if (failedByCode.size > 0) report.retried(failedByCode)
    if (verdict.batchDenied) report.batchDenied()
    if (throttled.length > 0) report.throttled(shards.throttled())
    // A denied batch does not say whether the destination takes single records.
    if (!verdict.batchDenied) moveBackoff(verdict.destinationFailure, generation)
    if (delivered.length === 0) return
    if (hasFailed) recover()
    onDelivered(delivered.map(({ record }) => record))
  }
}

/** The records of a call that will be sent again, in the order of the outbox. */
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
    // Records that failed equally often share a delay, so that their key queues wake for one call.
    const dueMs =
      dueMsByAttempts.get(attempts) ??
      nowMs + Math.ceil(retryDelayMs('passing', attempts + 1, random()))
    dueMsByAttempts.set(attempts, dueMs)
    return { ...failedOnce(outgoing, failedMs), attempts: attempts + 1, dueMs }
  })
  // The queue itself holds the records of a throttled shard until the shard may be tried.
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
